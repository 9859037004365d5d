"""The file with the songs: a JSON object per line."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from acestep_ray.cli.api_fields import check_field, names_a_song
from acestep_ray.cli.strict_json import Ambiguous, parsed

FILES = ("src_audio", "reference_audio")
"""Fields that name a file of this machine, seen from the folder of the file with the songs."""
MOST_SHOWN = 10


class LinesRefused(Exception):
    """Lines cannot be used. ``mistakes``: one sentence each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(" ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Line:
    """A song that is asked for.

    ``number``: of the line, from 1. ``name``: what the song is called in files and reports.
    ``key``: the same for the same song (its fields, its audio, and how many equal lines are above)
    wherever the line is.
    """

    number: int
    name: str
    key: str
    fields: Mapping[str, Any]


def read_lines(file: Path) -> list[Line]:
    """The songs in a file; empty lines are skipped. Raises LinesRefused and OSError."""
    found: list[Line] = []
    mistakes: list[str] = []
    equal: Counter[str] = Counter()
    digest_of_file = cache(_file_digest)
    for number, text in enumerate(file.read_bytes().split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            fields = _fields(text, file.parent)
        except ValueError as error:
            mistakes.append(f"Line {number}: {error}")
            continue
        digest = _digest(fields, digest_of_file)
        found.append(Line(number, name_of(number, fields), f"{digest}-{equal[digest]}", fields))
        equal[digest] += 1
    if mistakes:
        more = len(mistakes) - MOST_SHOWN
        raise LinesRefused(mistakes[:MOST_SHOWN] + ([f"And {more} more."] if more > 0 else []))
    return found


def _fields(text: bytes, folder: Path) -> dict[str, Any]:
    """The fields of a line, with a Path where a file is named. Raises ValueError."""
    try:
        fields = parsed(text.decode("utf-8-sig"))
    except Ambiguous:
        raise
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object.")
    for name, value in fields.items():
        check_field(name)
        if name in FILES and value is not None:
            path = folder / str(value)
            if not path.is_file():
                raise ValueError(f"{name}: there is no file {path}.")
            fields[name] = path
    if not names_a_song(fields):
        raise ValueError("nothing says what to make: it needs a caption, lyrics or sample_query.")
    return fields


def name_of(number: int, fields: Mapping[str, Any]) -> str:
    """Such as ``0012-upbeat-pop``."""
    text = str(fields.get("caption") or fields.get("sample_query") or "")
    words = re.sub(r"[\W_]+", "-", text.lower()).strip("-")
    return f"{number:04}-{words[:40].strip('-')}".rstrip("-")


def _digest(fields: Mapping[str, Any], of_file: Callable[[Path], str]) -> str:
    """The same for the same request: files count by what is in them."""
    plain = {
        name: f"sha256:{of_file(value)}" if isinstance(value, Path) else value
        for name, value in fields.items()
        if value is not None
    }
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def _file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
