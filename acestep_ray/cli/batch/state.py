"""What is known of a batch, in a file of its output folder, so that it can go on after any
interruption.

The file has one JSON object per line: first the batch, then each change of a song, of which the
last one counts. A line is on disk before the next step is taken. A torn last line is as if it had
not been written.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from acestep_ray.cli.batch.lines import Line

FILE = "batch-state.jsonl"
VERSION = 1
_TAKE = re.compile(r"(\d{4,}.*)-\d\.\w+")
_PART = re.compile(r"\.\d{4,}.*\.[0-9a-f]{32}\.part")


class StateRefused(Exception):
    """The folder cannot be used; the message is a sentence."""


class SongStatus(StrEnum):
    """How far a song is."""

    NEW = "new"
    ASKED = "asked"
    """The request may have been sent; its job is not known."""
    QUEUED = "queued"
    """Its job is known, and has not ended as far as is known."""
    MADE = "made"
    """Its takes are in the folder."""
    FAILED = "failed"
    """Its job failed, or its request was refused: the same request would be again."""
    UNFINISHED = "unfinished"
    """Something went wrong beside its job: the next run tries again."""


@dataclass(frozen=True)
class Song:
    """A song of the batch.

    ``attempt``: how often it was asked for anew, because its job is gone or failed. ``asked_at``:
    epoch seconds. ``files``: names in the folder.
    """

    key: str
    name: str
    status: SongStatus = SongStatus.NEW
    attempt: int = 0
    asked_at: float | None = None
    job_id: str | None = None
    files: tuple[str, ...] = ()
    seeds: str = ""
    error: str | None = None
    code: str | None = None
    warnings: tuple[str, ...] = ()

    def again(self) -> "Song":
        """The same song, to be asked for anew."""
        return Song(self.key, self.name, attempt=self.attempt + 1)


class BatchState:
    """The songs of one output folder. Only one process has it at a time. ``taken``: names whose
    takes are in the folder, and are not of this batch."""

    def __init__(
        self, batch_id: str, songs: dict[str, Song], file: IO[str], taken: Iterable[str] = ()
    ) -> None:
        self.batch_id = batch_id
        self._songs = songs
        self._file = file
        self._names = {song.name for song in songs.values() if song.status is not SongStatus.FAILED}
        self._names.update(taken)

    def of(self, line: Line) -> Song:
        """The song of a line."""
        if found := self._songs.get(line.key):
            return found
        name = self._free_name(line)
        self._names.add(name)
        song = self._songs[line.key] = Song(line.key, name)
        return song

    def _free_name(self, line: Line) -> str:
        """A name that no other song has, and no file in the folder that is not of this batch."""
        other = f"{line.name}-{line.key[:6]}"
        names = chain((line.name, other), (f"{other}-{number}" for number in count(2)))
        return next(name for name in names if name not in self._names)

    def save(self, song: Song) -> Song:
        """Write down how far a song is; it is on disk when this returns."""
        self._songs[song.key] = song
        self._file.write(_line(song))
        self._file.flush()
        os.fsync(self._file.fileno())
        return song

    def queued(self) -> list[Song]:
        """The songs whose jobs are at work, as far as is known."""
        return [song for song in self._songs.values() if song.status is SongStatus.QUEUED]

    def idempotency_key(self, song: Song) -> str:
        """Names the request for the service: the same for the same song of this folder."""
        return f"batch-{self.batch_id}-{song.key}-{song.attempt}"

    def ask(self, song: Song) -> Song:
        """Write down that the song is asked for now."""
        asked = replace(song, status=SongStatus.ASKED, asked_at=song.asked_at or time.time())
        return self.save(asked)


@contextmanager
def opened(folder: Path) -> Iterator[BatchState]:
    """The state in a folder, which is made if need be. Raises StateRefused and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{FILE}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateRefused(f"another batch is at work in {folder}.") from None
        batch_id, songs = _read(folder / FILE)
        _replace(folder / FILE, batch_id, songs)
        with (folder / FILE).open("a", encoding="utf-8") as file:
            yield BatchState(batch_id, songs, file, _taken(folder, songs))


def _taken(folder: Path, songs: dict[str, Song]) -> set[str]:
    """Names of songs whose takes are in the folder, and that the state does not know."""
    files = (file.name for file in folder.iterdir() if file.is_file())
    found = {match[1] for name in files if (match := _TAKE.fullmatch(name))}
    return found - {song.name for song in songs.values()}


def remove_parts(folder: Path) -> None:
    """Remove what downloads of a batch that was killed have left."""
    for file in folder.glob(".[0-9][0-9][0-9][0-9]*.part"):
        if _PART.fullmatch(file.name):
            file.unlink(missing_ok=True)


def _read(file: Path) -> tuple[str, dict[str, Song]]:
    if not file.exists():
        return uuid4().hex, {}
    documents = list(_documents(file))
    if not documents or documents[0].get("version") != VERSION:
        raise StateRefused(f"{file} is not the state of a batch that this version can continue.")
    known = {field.name for field in fields(Song)}
    songs: dict[str, Song] = {}
    for document in documents[1:]:
        values = {name: value for name, value in document.items() if name in known}
        values |= {name: tuple(values.get(name, ())) for name in ("files", "warnings")}
        values["status"] = SongStatus(values["status"])
        song = Song(**values)
        songs[song.key] = song
    return documents[0]["batch"], songs


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            yield document


def _replace(file: Path, batch_id: str, songs: dict[str, Song]) -> None:
    """Write the file anew, without what no longer counts; it is whole or as before."""
    new = file.with_name(f".{file.name}.new")
    with new.open("w", encoding="utf-8") as opened_file:
        opened_file.write(json.dumps({"version": VERSION, "batch": batch_id}) + "\n")
        opened_file.writelines(_line(song) for song in songs.values())
        opened_file.flush()
        os.fsync(opened_file.fileno())
    new.replace(file)


def _line(song: Song) -> str:
    return json.dumps(asdict(song)) + "\n"
