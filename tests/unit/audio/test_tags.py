"""Whatever a client writes as a caption, the file can still be played and has correct tags."""

import unicodedata
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile as sf
from mutagen.mp4 import MP4

from acestep_ray import __version__
from acestep_ray.audio.aac import stated_samples
from acestep_ray.audio.encode import encode_take
from acestep_ray.audio.tags import MOCK_COMMENT, Tags
from acestep_ray.formats import FORMATS

ID3 = {
    "TIT2": "title",
    "TBPM": "bpm",
    "TKEY": "initialkey",
    "TSSE": "encoder",
    "COMM::eng": "comment",
}

CAPTIONS = {
    "plain": "upbeat pop song",
    "empty": "",
    "control characters": "a\x00b\x1b[31mc\r\nd\te\x7f\x85",
    "emoji": "😀 👩‍🎤 🎹",
    "right to left": "שיר שמח \u202eabc\u202c أغنية",
    "lone surrogates": "a\ud800b\udfff",
    "vorbis separators": "TITLE=x=y",
    "longest": "word " * 800,
    "longest word": "x" * 4000,
    "longest in bytes": "𝄞" * 4000,
}


def _read(path: Path) -> dict[str, str]:
    """Tags under their Vorbis names, whatever the format."""
    file: Any = mutagen.File(path)
    found: dict[str, str] = {}
    if isinstance(file, MP4):
        return _read_mp4(file)
    for name, value in file.tags.items():
        if hasattr(value, "text"):
            assert len(value.text) == 1
            found[ID3.get(name, name.removeprefix("TXXX:"))] = str(value.text[0])
        else:
            assert len(value) == 1
            found[name] = value[0]
    return found


def _read_mp4(file: MP4) -> dict[str, str]:
    own = {"\xa9nam": "title", "desc": "description", "\xa9cmt": "comment", "\xa9too": "encoder"}
    found = {}
    tags: Any = file.tags
    for name, (value,) in tags.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        found[own.get(name, name.removeprefix("----:com.apple.iTunes:"))] = text
    assert found.pop("iTunSMPB")
    if "tmpo" in found:
        found["bpm"] = found.pop("tmpo")
    return found


def _tagged(folder: Path, name: str, tags: Tags) -> dict[str, str]:
    path = folder / f"take.{FORMATS[name].extension}"
    samples = np.full((48_000, 2), 0.25, np.float32)
    encode_take(samples, path, name, tags)
    if name == "aac":
        assert stated_samples(path) == 48_000
    else:
        assert sf.info(path).frames == 48_000
    return _read(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_says_what_it_was_asked_to_be(name: str, tmp_path: Path) -> None:
    tags = Tags(
        caption="upbeat pop song",
        seed=2**32 - 1,
        bpm=174,
        key="F# minor",
        time_signature="6",
        model="a-model",
        comment="made for a test",
    )
    assert _tagged(tmp_path, name, tags) == {
        "title": "upbeat pop song",
        "description": "upbeat pop song",
        "comment": "made for a test",
        "seed": "4294967295",
        "bpm": "174",
        "initialkey": "F#m",
        "key": "F# minor",
        "time_signature": "6",
        "model": "a-model",
        "encoder": f"acestep-ray {__version__}",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_mock_audio_says_so_and_unknown_things_are_left_out(name: str, tmp_path: Path) -> None:
    assert _tagged(tmp_path, name, Tags(caption="", seed=0, mock=True)) == {
        "comment": MOCK_COMMENT,
        "seed": "0",
        "mock": "true",
        "encoder": f"acestep-ray {__version__}",
    }
    both = _tagged(tmp_path, name, Tags(caption="", seed=0, mock=True, comment="loud"))
    assert both["comment"] == f"{MOCK_COMMENT}; loud"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", CAPTIONS)
def test_strange_captions(name: str, kind: str, tmp_path: Path) -> None:
    caption = CAPTIONS[kind]
    found = _tagged(tmp_path, name, Tags(caption=caption, seed=1))
    description = found.get("description", "")
    # Only what no tag can hold is lost, and the width of gaps.
    kept = "".join(c for c in caption if unicodedata.category(c) not in ("Cc", "Cs"))
    assert description.replace(" ", "") == kept.replace(" ", "")
    assert len(found.get("title", "")) <= 121


@pytest.mark.parametrize(
    ("key", "initial"),
    [
        ("C major", "C"),
        ("A minor", "Am"),
        ("Bb major", "Bb"),
        ("E♭ minor", "Ebm"),
        ("F♯ Minor", "F#m"),
        ("nonsense", None),
        ("H# dorian", None),
    ],
)
def test_id3_spelling_of_keys(key: str, initial: str | None, tmp_path: Path) -> None:
    found = _tagged(tmp_path, "wav", Tags(caption="", seed=1, key=key))
    assert found.get("initialkey") == initial
    assert found["key"] == key


@pytest.mark.parametrize("name", ["mp3", "flac"])
def test_a_tag_does_not_change_the_sound(name: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (48_000, 2)).astype(np.float32)
    heard = []
    for caption in ("", "x" * 4000):
        encode_take(samples, tmp_path / "take", name, Tags(caption=caption, seed=1))
        heard.append(sf.read(tmp_path / "take")[0])
    assert np.array_equal(heard[0], heard[1])
