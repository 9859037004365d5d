"""Tags of a finished take: what was requested, and what made it."""

# mypy: allow-untyped-calls

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutagen.flac import FLAC
from mutagen.id3 import COMM, ID3, TBPM, TIT2, TKEY, TSSE, TXXX
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Tags
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from acestep_ray import __version__
from acestep_ray.audio.aac import gapless

TITLE_CHARACTERS = 120
SOFTWARE = f"acestep-ray {__version__}"
MOCK_COMMENT = "mock: made by the mock engine, not by a model"

OPEN: Mapping[str, Callable[[Path], Any]] = {
    "mp3": MP3,
    "wav": WAVE,
    "wav32": WAVE,
    "flac": FLAC,
    "ogg": OggVorbis,
    "opus": OggOpus,
    "aac": MP4,
}
_MP4_NAMES = {"title": "\xa9nam", "description": "desc", "comment": "\xa9cmt", "encoder": "\xa9too"}
_MP4_OTHER = "----:com.apple.iTunes:"


@dataclass(frozen=True)
class Tags:
    """The tags of a file; values that are None or empty are left out.

    ``key`` is as the model spells it ("F# minor"), ``time_signature`` "2", "3", "4" or "6".
    """

    caption: str
    seed: int
    bpm: int | None = None
    key: str = ""
    time_signature: str = ""
    model: str = ""
    comment: str = ""
    mock: bool = False


def write_tags(path: Path, format: str, tags: Tags, samples: int) -> None:
    """Put ``tags`` into the file at ``path``: ID3v2.4 for mp3 and wav, iTunes' atoms for aac,
    otherwise Vorbis comments. ``samples``: the length of the sound, per channel.

    The same tags always make the same bytes. Raises mutagen.MutagenError and OSError.
    """
    audio = OPEN[format](path)
    if audio.tags is None:
        audio.add_tags()
    if isinstance(audio.tags, ID3):
        _fill_id3(audio.tags, tags)
    elif isinstance(audio.tags, MP4Tags):
        _fill_mp4(audio.tags, tags, samples)
    else:
        for name, value in _pairs(tags):
            audio.tags[name] = value
    audio.save()


def _fill_id3(id3: ID3, tags: Tags) -> None:
    for name, value in _pairs(tags):
        match name:
            case "title":
                id3.add(TIT2(encoding=3, text=value))
            case "bpm":
                id3.add(TBPM(encoding=3, text=value))
            case "initialkey":
                id3.add(TKEY(encoding=3, text=value))
            case "encoder":
                id3.add(TSSE(encoding=3, text=value))
            case "comment":
                id3.add(COMM(encoding=3, lang="eng", desc="", text=value))
            case _:
                id3.add(TXXX(encoding=3, desc=name, text=value))


def _fill_mp4(atoms: MP4Tags, tags: Tags, samples: int) -> None:
    atoms.clear()
    for name, value in _pairs(tags):
        if name == "bpm":
            atoms["tmpo"] = [int(value)]
        elif name in _MP4_NAMES:
            atoms[_MP4_NAMES[name]] = [value]
        else:
            atoms[_MP4_OTHER + name] = [value.encode()]
    atoms[_MP4_OTHER + "iTunSMPB"] = [gapless(samples)]


def _pairs(tags: Tags) -> Iterator[tuple[str, str]]:
    caption = _clean(tags.caption)
    comment = _clean(tags.comment)
    if tags.mock:
        comment = f"{MOCK_COMMENT}; {comment}" if comment else MOCK_COMMENT
    pairs = (
        ("title", _title(caption)),
        ("description", caption),
        ("comment", comment),
        ("seed", str(tags.seed)),
        ("bpm", "" if tags.bpm is None else str(tags.bpm)),
        ("initialkey", _initial_key(_clean(tags.key))),
        ("key", _clean(tags.key)),
        ("time_signature", _clean(tags.time_signature)),
        ("model", _clean(tags.model)),
        ("mock", "true" if tags.mock else ""),
        ("encoder", SOFTWARE),
    )
    return ((name, value) for name, value in pairs if value)


def _clean(text: str) -> str:
    """Text that every tag format can hold and every player can show on one line.

    Control characters (a NUL ends or splits an ID3 value) and lone surrogates (which no encoding
    has) become spaces; runs of spaces become one.
    """
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    return " ".join(plain.split())


def _title(caption: str) -> str:
    """The caption, cut between words if it is long."""
    if len(caption) <= TITLE_CHARACTERS:
        return caption
    head = caption[:TITLE_CHARACTERS]
    return (head.rsplit(" ", 1)[0] if " " in head else head) + "…"


def _initial_key(key: str) -> str:
    """ID3's spelling of a key, at most three characters: "F# minor" is F#m, "B♭ major" is Bb."""
    tonic, _, mode = key.replace("♯", "#").replace("♭", "b").partition(" ")
    if not tonic or len(tonic) > 2 or mode.lower() not in ("major", "minor"):
        return ""
    return tonic + ("m" if mode.lower() == "minor" else "")
