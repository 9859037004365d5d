"""Reads a request's body of any Content-Type, within the limits."""

import hashlib
import json
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.aliases import FILE_NAMES, TEXT_NAMES
from acestep_ray.api.request.content_type import (
    AUDIO_CURE,
    HEADER_CURE,
    Media,
    codec_of,
    read_media,
    unsupported_type,
)
from acestep_ray.api.request.folder import Folder
from acestep_ray.api.request.form_fields import CHARSET, gather, split_name
from acestep_ray.api.request.multipart import MAX_PARTS, read_multipart
from acestep_ray.api.request.multipart_parts import Upload
from acestep_ray.settings import Limits

_LONGEST_NUMBER = 400


@dataclass(frozen=True)
class Body:
    """``fields`` as they were sent: from a form, texts, lists of texts and metadata; from JSON,
    anything.

    ``ignored``: names of unknown files, and parts without ``=``. ``repeated``: names that were sent
    more than once. ``unknown_files``: names of files that are not read.
    """

    fields: Mapping[str, object]
    form: bool
    files: Mapping[str, Upload]
    fingerprint: str
    ignored: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unknown_files: tuple[str, ...] = ()


async def read_body(
    request: Request, limits: Limits, folder: Folder, also: frozenset[str] = frozenset()
) -> Body:
    """Read the whole body, its files into ``folder``. ``also``: names of text fields that the route
    has in addition to those of GenerateRequest.

    A body that is too large is refused by its Content-Length or, without one, as soon as too many
    bytes were read. Raises Problem (400, 413, 415) and Starlette's ClientDisconnect.
    """
    media = read_media(request.headers.get("content-type"))
    refuse_compressed(request)
    async with aclosing(_limited(request, media, limits)) as chunks:
        if media.kind == "multipart":
            form = await read_multipart(chunks, media, limits, folder, also)
            digest = fingerprint(form.fields, form.files)
            return Body(
                form.fields,
                True,
                form.files,
                digest,
                form.ignored,
                form.repeated,
                form.unknown_files,
            )
        data = b"".join([chunk async for chunk in chunks])
    return _read_text(data, media, also)


def refuse_compressed(request: Request) -> None:
    """Raise Problem 415 if the body is compressed."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE,
            "Compressed bodies are not supported; send it as it is.",
        )


async def _limited(request: Request, media: Media, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body's chunks. Raises Problem 413, before the first chunk if Content-Length is too large,
    and Problem 415 instead if the body is audio."""
    files = media.kind == "multipart"
    most = limits.upload_bytes if files else limits.text_bytes
    why = f"The body is too large; at most {most:,} bytes are taken"
    why += "." if files else f" without files. {AUDIO_CURE}"
    too_large = (
        unsupported_type(media) if media.is_audio else Problem(ProblemCode.BODY_TOO_LARGE, why)
    )
    async with aclosing(chunks_below(request, most, too_large)) as chunks:
        async for chunk in chunks:
            yield chunk


async def chunks_below(
    request: Request, most: int, too_large: Problem
) -> AsyncGenerator[bytes, None]:
    """The body's chunks. Raises ``too_large`` if there are more than ``most`` bytes, before the
    first chunk if Content-Length says so."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and (len(length) > 18 or int(length) > most):
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        yield chunk


def _read_text(data: bytes, media: Media, also: frozenset[str]) -> Body:
    start = data[:1000].lstrip()
    if start.startswith(b"--") and b"content-disposition:" in start.lower():
        found = f"The Content-Type is {media.type or 'missing'}, but the body is a multipart form."
        raise Problem(ProblemCode.MALFORMED_BODY, f"{found} {HEADER_CURE}")
    if media.kind == "json":
        fields = parse_json(media.decode(data))
        if not isinstance(fields, dict):
            raise Problem(ProblemCode.MALFORMED_BODY, "The body must be a JSON object.")
        return _of_json(fields)
    try:
        text = media.decode(data)
    except Problem:
        if media.kind == "form":
            raise
        raise unsupported_type(media) from None
    looks_json = text.lstrip()[:1] in ("{", "[")
    if looks_json:
        # `curl -d '{...}'` sends JSON with the Content-Type of a form. A real form writes { as %7B.
        try:
            fields = parse_json(text)
        except Problem as bad:
            if media.kind == "form":
                raise
            why = f", and {bad.detail[:1].lower()}{bad.detail[1:-1]}"
            raise unsupported_type(media, why) from None
        if isinstance(fields, dict):
            return _of_json(fields)
        if media.kind == "form":
            raise Problem(ProblemCode.MALFORMED_BODY, "The body must be a JSON object.")
    if media.kind != "form" and (looks_json or not _names_a_field(text, also)):
        raise unsupported_type(media)
    return _of_pairs(text, media)


def _names_a_field(text: str, also: frozenset[str]) -> bool:
    """Whether any ``key=value`` pair has a known name: XML and ordinary text contain ``=`` too."""
    pairs = (piece.partition("=") for piece in text.strip("\r\n").split("&", MAX_PARTS))
    names = {split_name(unquote_plus(name))[0] for name, equals, _ in pairs if equals}
    return not names.isdisjoint(TEXT_NAMES | FILE_NAMES.keys() | also)


def _of_json(fields: Mapping[str, object]) -> Body:
    return Body(fields, False, {}, fingerprint(fields, {}))


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises Problem 400."""
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise Problem(ProblemCode.MALFORMED_BODY, "The JSON body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}.",
        ) from None


def _whole(digits: str) -> float:
    """The number; infinite if it is very long, because Python refuses to read such integers."""
    if len(digits) > _LONGEST_NUMBER:
        return -math.inf if digits.startswith("-") else math.inf
    return int(digits)


def _of_pairs(text: str, media: Media) -> Body:
    """A urlencoded form."""
    pieces = [piece for piece in text.strip("\r\n").split("&") if piece]
    if len(pieces) > MAX_PARTS:
        raise Problem(ProblemCode.MALFORMED_BODY, f"The form has over {MAX_PARTS} fields.")
    marker = f"{CHARSET}="
    named = next((p.removeprefix(marker) for p in pieces if p.startswith(marker)), "")
    codec = codec_of(unquote_plus(named)) or media.charset or "utf-8"
    try:
        pairs = parse_qsl("&".join(pieces), True, encoding=codec, errors="strict")
    except UnicodeDecodeError:
        raise Problem(ProblemCode.MALFORMED_BODY, f"The form is not {codec} text.") from None
    bare = [f"{unquote_plus(piece)} (no =)" for piece in pieces if "=" not in piece]
    fields, repeated = gather((name, value) for name, value in pairs if name != CHARSET)
    return Body(fields, True, {}, fingerprint(fields, {}), tuple(bare), repeated)


def fingerprint(fields: Mapping[str, object], files: Mapping[str, Upload]) -> str:
    """Digest of the fields and files. It does not depend on how the client writes them as bytes."""
    asked = [fields, {name: upload.sha256 for name, upload in files.items()}]
    try:
        canonical = json.dumps(asked, sort_keys=True)
    except RecursionError:
        raise Problem(ProblemCode.MALFORMED_BODY, "The JSON body is nested too deeply.") from None
    return hashlib.sha256(canonical.encode()).hexdigest()
