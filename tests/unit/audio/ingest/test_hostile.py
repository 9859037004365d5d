"""Files made to break the reader: each is read or refused, in time, and leaves nothing behind.

Random, but the same each time.
"""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import ingest
from acestep_ray.audio.ingest.layout.find import READERS, find_layout
from acestep_ray.audio.ingest.layout.parts import Malformed, Parts
from acestep_ray.settings import Ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make

LIMITS = Ingest(seconds=20, cpu_seconds=10)
OURS = ["a.wav", "a.w64", "a.aiff", "a.au", "a.flac", "a.ogg", "a.mp3"]
THEIRS = {
    "a.m4a": ["-c:a", "aac"],
    "a.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "a.aac": ["-c:a", "aac"],
    "a.caf": ["-c:a", "alac"],
    "a.webm": ["-c:a", "libopus"],
    "a.oga": ["-c:a", "flac"],
}


@pytest.fixture
def short() -> Samples:
    """A third of a second."""
    return np.random.default_rng(0).uniform(-0.3, 0.3, (16_000, 2)).astype(np.float32)


def mutations(content: bytes, seed: str, count: int) -> list[bytes]:
    """Cut, overwritten, enlarged and joined, mostly near the front, where the headers are."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8))):
            span = chance.choice((len(changed), min(len(changed), 200)))
            at = chance.randrange(max(1, span))
            length = chance.choice((1, 2, 4, 8))
            changed[at : at + length] = chance.choice(
                (
                    chance.randbytes(length),
                    b"\xff" * length,
                    bytes(length),
                    b"\x7f" + b"\xff" * (length - 1),
                    b"",
                    changed[at : at + length] * 50,
                )
            )
        if chance.random() < 0.3:
            del changed[chance.randrange(len(changed) + 1) :]
        made.append(bytes(changed))
    return made


async def survives(content: bytes, folder: Path) -> None:
    """It is audio or refused, with a sentence, and no files are left."""
    folder.mkdir()
    (folder / "upload").write_bytes(content)
    out = folder / "out.flac"
    try:
        found = await ingest(folder / "upload", out, LIMITS)
        assert 0 < found.samples <= LIMITS.seconds * found.sample_rate
        out.unlink()
    except AudioRejected as error:
        assert error.reason.endswith(".") and "\n" not in error.reason
        assert "Traceback" not in error.reason
    assert [path.name for path in folder.iterdir()] == ["upload"]


async def all_survive(contents: list[bytes], folder: Path) -> None:
    for start in range(0, len(contents), 4):
        batch = contents[start : start + 4]
        await asyncio.gather(
            *(survives(one, folder / f"{start + i}") for i, one in enumerate(batch))
        )


@pytest.mark.parametrize("name", OURS)
async def test_mutated_files(name: str, make: Make, short: Samples, tmp_path: Path) -> None:
    content = make(name, short, 48_000).read_bytes()
    await all_survive(mutations(content, name, 12), tmp_path)


@pytest.mark.parametrize("name", THEIRS)
async def test_mutated_files_for_ffmpeg(
    name: str, convert: Convert, make: Make, short: Samples, tmp_path: Path
) -> None:
    content = convert(name, *THEIRS[name], source=make("short.wav", short, 48_000)).read_bytes()
    await all_survive(mutations(content, name, 8), tmp_path)


@pytest.mark.parametrize("name", OURS)
def test_layouts_of_mutated_files(name: str, make: Make, short: Samples, tmp_path: Path) -> None:
    """Thousands, without a child: only the reader's own errors, and no end beyond the file's."""
    path = make(name, short, 48_000)
    content = path.read_bytes()
    kind = name.split(".")[1]
    cuts = [content[:size] for size in range(0, min(len(content), 600))]
    for changed in (*mutations(content, name, 1000), *cuts):
        path.write_bytes(changed)
        with path.open("rb") as file:
            try:
                layout = find_layout(file.fileno(), kind, 0)
            except Malformed as error:
                assert str(error).endswith(".")
                continue
            for parts in layout.streams:
                for part in parts:
                    if not isinstance(part, bytes) and part[0] != part[1]:
                        assert 0 <= part[0] < part[1] <= len(changed)
                size = sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in parts)
                assert len(Parts(file.fileno(), parts).read()) == size
            assert layout.extent.held >= 0 and layout.extent.missing >= 0


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"OggS", b"\xff\xfb\x90\0", b"junk\0\0\0\0"])
def test_layouts_of_large_monotonous_files(
    kind: str, filling: bytes, make: Make, short: Samples
) -> None:
    """After a real beginning: the search from one part to the next must end soon."""
    path = make(f"a.{kind}", short, 48_000)
    with path.open("r+b") as file:
        file.truncate(min(path.stat().st_size, 400))
        file.seek(0, 2)
        file.write(filling * (8_000_000 // len(filling)))
        file.flush()
        try:
            find_layout(file.fileno(), kind, 0)
        except Malformed as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize(("name", "codec"), [("a.mka", "flac"), ("a.m4a", "alac")])
async def test_an_hour_of_silence_is_read_no_further_than_is_accepted(
    name: str, codec: str, convert: Convert, make: Make, out: Path
) -> None:
    silence = make("silence.flac", np.zeros((3600 * 8_000, 1), np.float32), 8_000)
    path = convert(name, "-c:a", codec, source=silence)
    with pytest.raises(AudioRejected) as caught:
        await ingest(path, out, LIMITS)
    assert caught.value.code == "too_long"


async def test_a_child_that_is_busy_for_too_long_is_stopped(
    convert: Convert, out: Path, tmp_path: Path
) -> None:
    limits = Ingest(cpu_seconds=0.05)
    with pytest.raises(AudioRejected) as caught:
        await ingest(convert("a.m4a", "-af", "aloop=300:88200"), out, limits)
    assert caught.value.code == "too_complex"
    assert list(out.parent.iterdir()) == []
