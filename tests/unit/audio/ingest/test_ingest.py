"""Audio from strangers: good files are stored unchanged, others are refused with one sentence."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.aac import FRAME
from acestep_ray.audio.encode import encode_take
from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ffmpeg import READABLE
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.audio.tags import Tags
from acestep_ray.formats import FORMATS
from acestep_ray.settings import Ingest
from acestep_ray.timebase import Samples

Make = Callable[..., Path]

LIMITS = Ingest()


async def _refusal(source: int | Path, out: Path, limits: Ingest = LIMITS) -> tuple[str, str]:
    """Code and reason; nothing may be left, and the reason must be one that a client may see."""
    with pytest.raises(AudioRejected) as caught:
        await ingest(source, out, limits)
    reason = caught.value.reason
    assert list(out.parent.iterdir()) == []
    assert reason[0].isupper()
    assert reason.endswith(".")
    assert reason.count("\n") == 0
    assert "/" not in reason
    assert "Traceback" not in reason
    return caught.value.code, reason


@pytest.mark.parametrize("name", FORMATS)
async def test_a_take_of_every_format_can_be_a_source(name: str, tmp_path: Path, out: Path) -> None:
    samples = 0.5 * np.random.default_rng(2).uniform(-1, 1, (50_001, 2)).astype(np.float32)
    encode_take(samples, tmp_path / "take", name, Tags(caption="a song", seed=1))
    found = await ingest(tmp_path / "take", out, LIMITS)
    assert (found.sample_rate, found.channels, found.warning) == (48_000, 2, "")
    # ffmpeg also decodes the silence in the last block.
    most = FRAME if FORMATS[name].by_ffmpeg else 1
    assert 0 <= found.samples - len(samples) < most


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.wav", {}),
        ("a.wav", {"subtype": "PCM_24"}),
        ("a.wav", {"subtype": "FLOAT"}),
        ("a.wav", {"subtype": "PCM_U8"}),
        ("a.wav", {"subtype": "ULAW"}),
        ("a.wav", {"format": "WAVEX"}),
        ("a.wav", {"format": "RF64"}),
        ("a.aiff", {}),
        ("a.flac", {"subtype": "PCM_24"}),
        ("a.mp3", {}),
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
async def test_every_format_comes_in_at_its_own_rate(
    name: str, how: dict[str, str], make: Make, out: Path
) -> None:
    path = make(name, **how)
    sent, rate = sf.read(path, dtype="float32", always_2d=True)
    found = await ingest(path.rename(path.with_name("upload")), out, LIMITS)
    assert found == Ingested(rate, 2, len(sent))
    kept, kept_rate = sf.read(out, dtype="float32", always_2d=True)
    assert kept_rate == rate
    assert np.abs(kept - np.clip(sent, -1, 1)).max() <= 2.0**-23
    info = sf.info(out)
    assert (info.format, info.subtype) == ("FLAC", "PCM_24")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2, 8])
async def test_integers_are_kept_to_the_last_bit(
    subtype: str, channels: int, make: Make, out: Path
) -> None:
    """Also at full scale: repaint guarantees that everything outside its window stays as it was."""
    full = 2 ** (int(subtype[4:]) - 1)
    steps = np.random.default_rng(0).integers(-full, full, (70_001, channels))
    steps[0], steps[-1] = -full, full - 1
    path = make("a.wav", steps / full, subtype=subtype)
    assert (await ingest(path, out, LIMITS)).channels == channels
    kept, _ = sf.read(out, dtype="float64", always_2d=True)
    assert np.array_equal(kept * full, steps)


async def test_an_mp3_is_whole_where_two_blocks_meet(make: Make, out: Path) -> None:
    """If soundfile alone reads it in blocks, it has a click at each block."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (441_001, 2)).astype(np.float32)
    path = make("a.mp3", noise)
    await ingest(path, out, LIMITS)
    sent, _ = sf.read(path, dtype="float32", always_2d=True)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert kept.shape == sent.shape
    assert np.abs(kept - np.clip(sent, -1, 1)).max() <= 2.0**-22


@pytest.mark.parametrize("loudest", [3.0e38, -3.0e38])
async def test_the_largest_floats_are_clipped_and_are_numbers(
    loudest: float, make: Make, tone: Samples, out: Path
) -> None:
    tone[80_000, 1] = loudest
    await ingest(make("a.wav", tone, subtype="FLOAT"), out, LIMITS)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.clip(tone, -1, 1)).max() <= 2.0**-22


async def test_loud_floats_are_clipped_not_folded(make: Make, tone: Samples, out: Path) -> None:
    await ingest(make("a.wav", tone * 4, subtype="FLOAT"), out, LIMITS)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.clip(tone * 4, -1, 1)).max() <= 2.0**-22


async def test_a_descriptor_is_read_from_its_start_and_stays_open(make: Make, out: Path) -> None:
    file = os.open(make("a.mp3"), os.O_RDONLY)
    os.lseek(file, 5000, os.SEEK_SET)
    assert (await ingest(file, out, LIMITS)).samples == 88_200
    os.close(file)


async def test_silence_is_audio(make: Make, out: Path) -> None:
    silence = np.zeros((8_000, 1), np.float32)
    assert await ingest(make("a.wav", silence, 8_000), out, LIMITS) == Ingested(8_000, 1, 8_000)


@pytest.mark.parametrize(
    "content", [b"plain text\n" * 1000, b"<html></html>", b"PK\x03\x04" + b"x" * 100, b"\0" * 5000]
)
async def test_what_is_no_audio(content: bytes, tmp_path: Path, out: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    code, reason = await _refusal(tmp_path / "song.mp3", out)
    assert code == "not_audio"
    assert READABLE in reason


@pytest.mark.parametrize(
    "content",
    [
        "plain text, but in UTF-16\n".encode("utf-16") * 1000,
        b"\xff\xfb\x90\x64" + np.random.default_rng(0).bytes(100_000),
    ],
)
async def test_what_only_begins_like_an_mp3(content: bytes, tmp_path: Path, out: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    assert (await _refusal(tmp_path / "song.mp3", out))[0] == "not_audio"


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.ogg"])
async def test_no_sound_at_all(name: str, make: Make, tmp_path: Path, out: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"")
    assert (await _refusal(tmp_path / "nothing", out))[0] == "empty"
    path = make(name, np.zeros((0, 2), np.float32))
    assert (await _refusal(path, out))[0] == "empty"


async def test_a_damaged_flac_says_how_far_it_is_good(make: Make, tone: Samples, out: Path) -> None:
    path = make("a.flac", np.tile(tone, (5, 1)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = bytes(500)
    path.write_bytes(content)
    code, reason = await _refusal(path, out)
    assert code == "truncated"
    assert "of 10.0 seconds only the first" in reason


async def test_too_long(make: Make, out: Path) -> None:
    code, reason = await _refusal(make("a.flac"), out, LIMITS.model_copy(update={"seconds": 1.9}))
    assert (code, reason) == ("too_long", "The audio is longer than 1.9 seconds.")
    await ingest(make("a.flac"), out, LIMITS.model_copy(update={"seconds": 2.0}))


async def test_a_bomb(make: Make, out: Path) -> None:
    """Two hours of silence are a FLAC of 200 kB. It is only read up to the accepted length."""
    samples = np.zeros((7200 * 8_000, 1), np.float32)
    path = make("a.flac", samples, 8_000)
    assert path.stat().st_size < 300_000
    assert (await _refusal(path, out))[0] == "too_long"
    limits = LIMITS.model_copy(update={"cpu_seconds": 0.5})
    assert (await _refusal(path, out, limits))[0] in ("too_long", "too_complex")


async def test_too_many_samples_a_second(make: Make, out: Path) -> None:
    samples = np.zeros((192_000, 3), np.float32)
    limits = LIMITS.model_copy(update={"seconds": 1.0})
    code, reason = await _refusal(make("a.flac", samples, 192_000), out, limits)
    assert code == "too_large"
    assert "3 channels at 192000 Hz" in reason
    await ingest(make("b.flac", samples[:, :2], 192_000), out, limits)


@pytest.mark.parametrize("rate", [4_000, 7_999, 192_001, 384_000])
async def test_rates_that_no_music_has(rate: int, make: Make, out: Path) -> None:
    code, reason = await _refusal(make("a.wav", rate=rate), out)
    assert code == "unreadable"
    assert reason == f"The sample rate is {rate} Hz; it must lie between 8000 and 192000 Hz."


async def test_nine_channels(make: Make, out: Path) -> None:
    code, reason = await _refusal(make("a.wav", np.zeros((100, 9), np.float32)), out)
    assert (code, reason) == ("unreadable", "The audio has 9 channels; the most is 8.")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
async def test_samples_that_are_not_numbers(
    bad: float, make: Make, tone: Samples, out: Path
) -> None:
    tone[80_000, 1] = bad
    code, reason = await _refusal(make("a.wav", tone, subtype="FLOAT"), out)
    assert (code, reason) == ("unreadable", "The audio holds samples that are not numbers.")


async def test_what_is_no_regular_file(out: Path) -> None:
    read, write = os.pipe()
    assert (await _refusal(read, out))[0] == "unreadable"
    os.close(read)
    os.close(write)


async def test_many_at_once_do_not_mix(make: Make, tmp_path: Path) -> None:
    async def one(number: int) -> bool:
        samples = np.full((10_000 + number, 1), number / 10, np.float32)
        path, out = make(f"{number}.wav", samples), tmp_path / f"{number}.flac"
        found = await ingest(path, out, LIMITS)
        kept, _ = sf.read(out)
        return found.samples == len(kept) == 10_000 + number and abs(kept[0] - number / 10) < 1e-4

    assert all(await asyncio.gather(*(one(number) for number in range(5))))
