"""FLACs that state no length or a wrong one, and joined FLACs: they are read to their end."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Make
from tests.unit.audio.ingest.reading import JUNK, LIMITS, WHOLE, read


def flac_total(path: Path, total: int) -> None:
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFF_FFFF).to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("total", [0, 1, 44_100, 88_199])
async def test_a_flac_that_names_too_few_samples_or_none(
    total: int, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    flac_total(path, total)
    assert await read(path, out) == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize("total", [2**36 - 1, 2**32 - 1, 44_100 * 601])
async def test_a_flac_that_names_more_than_could_be_sent(total: int, make: Make, out: Path) -> None:
    path = make("a.flac")
    flac_total(path, total)
    found = await read(path, out)
    assert found.samples == WHOLE.samples
    assert found.warning.startswith(f"its header names {total / 44_100:.1f} seconds")


async def test_a_flac_that_names_no_length_is_watched_as_it_is_read(make: Make, out: Path) -> None:
    path = make("a.flac")
    flac_total(path, 0)
    with pytest.raises(AudioRejected, match=r"longer than 1\.9 seconds"):
        await ingest(path, out, LIMITS.model_copy(update={"seconds": 1.9}))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioRejected, match=r"damaged: only the first 0\.\d\d seconds"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("behind", [bytes(1000), b"ID3\4\0\0\0\0\0\5hello", JUNK])
async def test_what_follows_a_flac_costs_nothing_of_it(
    behind: bytes, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    path.write_bytes(path.read_bytes() + behind)
    assert await read(path, out) == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize(
    "behind",
    [bytes(1000), b"ID3\4\0\0\0\0\0\5hello", b"ID3\4\0\0\0\0\1\0" + b"x".ljust(128, b"\0")],
)
async def test_zeros_or_tags_behind_a_flac_that_names_no_length(
    behind: bytes, make: Make, out: Path
) -> None:
    path = make("a.flac")
    flac_total(path, 0)
    path.write_bytes(path.read_bytes() + behind)
    assert await read(path, out) == WHOLE


@pytest.mark.parametrize("between", [b"", b"ID3\4\0\0\0\0\0\5hello"])
@pytest.mark.parametrize("totals", [(88_200, 88_200), (0, 0), (0, 88_200), (88_200, 0)])
async def test_flacs_that_were_joined(
    totals: tuple[int, int], between: bytes, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    pieces = []
    for total in totals:
        flac_total(path, total)
        pieces.append(path.read_bytes())
    path.write_bytes(between.join(pieces))
    assert await read(path, out) == Ingested(44_100, 2, 2 * 88_200)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.tile(tone, (2, 1))).max() < 1e-4


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (20, "damaged: only the first 2.00 seconds"),
        (60, "of 4.00 seconds only the first 2.00"),
        (-20_000, "of 4.00 seconds only the first 3."),
    ],
)
async def test_joined_flacs_that_were_cut(kept: int, message: str, make: Make, out: Path) -> None:
    path = make("a.flac")
    one = path.read_bytes()
    path.write_bytes(one + one[:kept])
    with pytest.raises(AudioRejected, match=message):
        await ingest(path, out, LIMITS)
