"""A job that succeeded -> a chat completion, whole or in chunks, with its takes as base64.

The takes are read from storage while the response is sent: a response may be larger than what
should be in memory.
"""

import base64
import json
import math
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.routes.job_view import UNKNOWN, job_view
from acestep_ray.api.upstream.task_state import song_metadata
from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.decoder.events import Take
from acestep_ray.formats import FORMATS
from acestep_ray.jobs.engine_requests import SongWords, song_words
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.duration import is_sung

_DONE = "Music generated successfully."
_METADATA = {
    "BPM": "bpm",
    "Duration": "duration",
    "Key": "keyscale",
    "Time Signature": "timesignature",
}
_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@dataclass(frozen=True)
class TakeData:
    """A take in storage: ``size`` bytes."""

    take: Take
    size: int

    @property
    def head(self) -> str:
        """What a data: URL of the take begins with."""
        return f"data:{FORMATS[self.take.format].media_type};base64,"

    def __len__(self) -> int:
        """Bytes of the data: URL."""
        return len(self.head) + 4 * math.ceil(self.size / 3)


@dataclass(frozen=True)
class Song:
    """What a completion contains: text in Markdown, and the takes."""

    content: str
    takes: tuple[TakeData, ...]
    warnings: list[str]


class Completion:
    """The responses about one job. ``model``: as clients name it."""

    def __init__(self, job_id: str, model: str) -> None:
        self._job_id = job_id
        self._head = {
            "id": f"chatcmpl-{job_id.replace('-', '')[:24]}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, song: Song) -> "Pieces":
        """The completion as one object."""
        mark = uuid4().hex
        message = {"role": "assistant", "content": song.content, "audio": _audio(song, mark)}
        value = {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _USAGE,
            "job_id": self._job_id,
            "warnings": song.warnings,
        }
        return Pieces(_dumps(value), mark, song.takes)

    def chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, **others: object
    ) -> str:
        """One event of the stream."""
        value = {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
            **others,
        }
        return f"data: {_dumps(value)}\n\n"

    def takes(self, song: Song) -> "Pieces":
        """The event that holds the takes."""
        mark = uuid4().hex
        return Pieces(self.chunk({"audio": _audio(song, mark)}), mark, song.takes)

    def end(self, song: Song) -> str:
        """The last event after success."""
        return self.chunk({}, "stop", job_id=self._job_id, warnings=song.warnings)

    def failure(self, sentence: str) -> str:
        """The last event after a failure."""
        text = {"content": f"\n\nError: {sentence}"}
        return self.chunk(text, "error", job_id=self._job_id)


class Pieces:
    """A text in which marks stand for takes."""

    def __init__(self, text: str, mark: str, takes: tuple[TakeData, ...]) -> None:
        self._pieces = list(_split(text, mark, takes))

    def __len__(self) -> int:
        """Bytes of the text with the takes."""
        return sum(map(len, self._pieces))

    async def stream(self, context: AppContext) -> AsyncGenerator[bytes, None]:
        """The bytes of the text; the takes are read from storage."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            yield piece.head.encode()
            rest = b""
            async with aclosing(context.artifacts.stream(piece.take.key, 0, piece.size)) as chunks:
                async for chunk in chunks:
                    data = rest + chunk
                    whole = len(data) - len(data) % 3
                    rest = data[whole:]
                    yield base64.b64encode(data[:whole])
            yield base64.b64encode(rest)


async def song_of(snapshot: Snapshot, context: AppContext) -> Song:
    """What the completion of an ended job contains.

    Raises Problem: 500 if the job failed, 404 if a take is no longer in storage; and StorageError.
    """
    record = snapshot.record
    view = job_view(snapshot, context)
    if view.result is None:
        raise Problem(
            ProblemCode.JOB_FAILED,
            view.error or " ".join(view.warnings),
            extra={"job_id": record.job_id, "error_code": record.error_code},
        )
    assert record.result is not None
    result = JobResult.model_validate_json(record.result)
    takes = sorted(result.takes, key=lambda take: take.index)
    try:
        sized = [TakeData(take, await context.artifacts.size(take.key)) for take in takes]
    except ArtifactMissing:
        raise Problem(
            ProblemCode.AUDIO_NOT_FOUND,
            "A take is no longer in storage.",
            extra={"job_id": record.job_id},
        ) from None
    spec = JobSpec.model_validate_json(record.spec)
    text = _markdown(song_words(spec, result.plan), song_metadata(spec.decode, view))
    return Song(text, tuple(sized), view.warnings or [])


def _markdown(words: SongWords, metadata: dict[str, Any]) -> str:
    """Metadata and lyrics, as the takes have them."""
    lines = [f"**Caption:** {words.caption}"] if words.caption else []
    for title, name in _METADATA.items():
        if (value := metadata.get(name, UNKNOWN)) != UNKNOWN:
            lines.append(f"**{title}:** {value}{' s' if name == 'duration' else ''}")
    sung = is_sung(words.lyrics)
    if sung:
        lines.append(f"**Language:** {words.vocal_language}")
    parts = ["\n".join(["## Metadata", *lines])] if lines else []
    if sung:
        parts.append(f"## Lyrics\n{words.lyrics}")
    return "\n\n".join(parts) or _DONE


def _audio(song: Song, mark: str) -> list[dict[str, Any]]:
    return [{"type": "audio_url", "audio_url": {"url": mark}} for _ in song.takes]


def _split(text: str, mark: str, takes: tuple[TakeData, ...]) -> Iterator[bytes | TakeData]:
    for piece, take in zip(text.split(mark), (*takes, None), strict=True):
        yield piece.encode()
        if take is not None:
            yield take


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
