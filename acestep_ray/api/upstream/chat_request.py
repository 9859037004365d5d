"""A chat completion's fields -> the fields and files of POST /release_task."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.aliases import resolve
from acestep_ray.api.request.multipart_parts import Upload
from acestep_ray.api.upstream.chat_fields import ChatFields, wants_stream
from acestep_ray.api.upstream.lenient_fields import read_fields, read_flag
from acestep_ray.decoder.protocol import SOURCE_TASKS

INSTRUMENTAL = "[inst]"
_TEXTS = {"caption": "prompt", "lyrics": "lyrics", "sample_query": "description"}
"""Fields that a message's text can be, and what they are called in warnings."""
_DESCRIBING = (*_TEXTS, "audio_code_string")
"""Fields that describe a song."""
_SECTION = re.compile(
    r"^[ \t]*\[(verse|chorus|bridge|intro|outro|hook|pre-chorus|refrain|inst)",
    re.IGNORECASE | re.MULTILINE,
)
"""Only at the beginning of a line: in a sentence it is a part of a description."""
_LYRIC_LINES = 4
_LYRIC_LINE_LENGTH = 60
"""A text of so many lines, shorter than this on average, is taken for lyrics, as upstream does."""


@dataclass(frozen=True)
class ChatTask:
    """``fields`` and ``files``: as of a body of POST /release_task. ``warnings``: about what is not
    used."""

    fields: dict[str, object]
    files: dict[str, Upload]
    stream: bool
    warnings: tuple[str, ...]


def chat_task(fields: Mapping[str, object], audio_of: Callable[[object], Upload]) -> ChatTask:
    """Read a completion's request. ``audio_of`` makes a file of the data of an audio part.

    Call it in a thread: ``audio_of`` decodes and writes. Raises Problem 400 if nothing describes a
    song, or if parts cannot be read.
    """
    texts, sounds = _content(fields.get("messages"))
    read = ChatFields(fields)
    task = read.task
    stream = wants_stream(fields.get("stream"), read.warnings)
    # As POST /release_task reads them: by their own names, whatever names were sent.
    sent = resolve(read_fields(task).fields, form=False)
    kind = str(sent.values.get("task_type") or "text2music").strip().lower()
    files = {name: audio_of(sound) for name, sound in _files(kind, sounds).items()}
    written = _from_text("\n".join(texts).strip(), sent.values, edits=kind in SOURCE_TASKS)
    unused = {name for name in written if sent.values.get(name)}
    task |= {name: value for name, value in written.items() if name not in unused}
    described = any(sent.values.get(name) or name in written for name in _DESCRIBING)
    if not (files or described or read_flag(sent.values.get("sample_mode"))):
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            "The request has no prompt, lyrics, description or audio: write what the song is about "
            'in the last message of role "user".',
        )
    unused_texts = [
        f"The message is not used as {_TEXTS[name]}: {sent.sent_as[name]} came too."
        for name in written
        if name in unused and written[name] != sent.values[name]
    ]
    return ChatTask(task, files, stream, (*read.warnings, *unused_texts))


def looks_like_lyrics(text: str) -> bool:
    """Whether a text without tags is lyrics rather than a description of a song."""
    if _SECTION.search(text):
        return True
    lines = [line for line in text.splitlines() if line.strip()]
    length = sum(map(len, lines))
    return len(lines) >= _LYRIC_LINES and length < _LYRIC_LINE_LENGTH * len(lines)


def _content(messages: object) -> tuple[list[str], list[object]]:
    """Texts and audio of the last message of a user."""
    if not isinstance(messages, list):
        name = "messages is missing: it" if messages is None else "messages"
        raise Problem(ProblemCode.MALFORMED_BODY, f"{name} must be a list of messages.")
    asked = [m for m in messages if isinstance(m, dict) and m.get("role", "user") == "user"]
    content = asked[-1].get("content") if asked else None
    if isinstance(content, str):
        return [content], []
    texts: list[str] = []
    sounds: list[object] = []
    for part in content if isinstance(content, list) else []:
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        inner = part.get(str(kind))
        if kind == "text" and isinstance(inner, str):
            texts.append(inner)
        elif kind == "input_audio":
            sounds.append(inner.get("data") if isinstance(inner, dict) else inner)
        elif kind == "audio_url":
            sounds.append(_data_url(inner.get("url") if isinstance(inner, dict) else inner))
        else:
            raise Problem(
                ProblemCode.MALFORMED_BODY,
                "A part of a message must be of type text, input_audio or audio_url.",
            )
    return texts, sounds


def _data_url(url: object) -> object:
    if isinstance(url, str) and re.match(r"https?:", url.strip(), re.IGNORECASE):
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            "Audio is not fetched from other servers: send it as input_audio, or as a data: URL.",
        )
    return url


def _files(kind: str, sounds: list[object]) -> dict[str, object]:
    """The audio parts by the names of their files: the first is the source if the task edits one;
    the next is the reference. They are counted before they are decoded."""
    names = ("src_audio", "reference_audio") if kind in SOURCE_TASKS else ("reference_audio",)
    if len(sounds) > len(names):
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            f"task_type {kind} takes {len(names)} audio part(s) at most; there are {len(sounds)}.",
        )
    return dict(zip(names, sounds, strict=False))


def _between(text: str, tag: str) -> str | None:
    """What is between the first <tag> and the next </tag>; None if there is no such pair. In linear
    time, unlike one regular expression for both: a hostile text may have many tags without an end.
    """
    begin = re.search(f"<{tag}>", text, re.IGNORECASE)
    end = begin and re.compile(f"</{tag}>", re.IGNORECASE).search(text, begin.end())
    return text[begin.end() : end.start()].strip() if begin and end else None


def _from_text(text: str, sent: Mapping[str, object], *, edits: bool) -> dict[str, str]:
    """What the user's text is: caption, lyrics or a description of a song. Fields that were
    ``sent`` have priority over it."""
    prompt, lyrics = _between(text, "prompt"), _between(text, "lyrics")
    found: dict[str, str] = {}
    if prompt is not None or lyrics is not None:
        found = {"caption": prompt or "", "lyrics": lyrics or ""}
    elif edits or sent.get("lyrics"):
        found = {"caption": text}
    elif looks_like_lyrics(text):
        found = {"lyrics": text}
    elif sent.get("caption"):
        # A description would replace the caption.
        found = {"caption": text}
    else:
        found = {"sample_query": text}
    found = {name: value for name, value in found.items() if value}
    sung = any(found.get(name) or sent.get(name) for name in ("lyrics", "sample_query"))
    if read_flag(sent.get("instrumental")) and not sung:
        found["lyrics"] = INSTRUMENTAL
    return found
