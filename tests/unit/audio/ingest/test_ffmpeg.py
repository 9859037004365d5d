"""Formats that libsndfile does not read are converted by ffmpeg, if it is installed."""

import io
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.artifacts.errors import StorageFull
from acestep_ray.audio.ingest import ffmpeg as ffmpeg_module
from acestep_ray.audio.ingest.ffmpeg import _channels
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make, Pipe
from tests.unit.audio.ingest.reading import AMR, LIMITS, refusal

ID3 = b"ID3\x04\0\0\0\0\0\x05hello"

LOSSLESS: dict[str, list[str]] = {
    "alac.m4a": ["-c:a", "alac"],
    "pcm.mov": ["-c:a", "pcm_s16le"],
    "pcm.caf": ["-c:a", "pcm_s16be"],
    "float.caf": ["-c:a", "pcm_f32le"],
    "alac.caf": ["-c:a", "alac"],
    "flac.mka": ["-c:a", "flac"],
    "flac.oga": ["-c:a", "flac"],
    "flac.mp4": ["-c:a", "flac", "-strict", "-2"],
}
LOSSY: dict[str, list[str]] = {
    "aac.m4a": ["-c:a", "aac"],
    "fast.m4a": ["-c:a", "aac", "-movflags", "+faststart"],
    "fragments.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    "phone.3gp": ["-c:a", "aac"],
    "mp3.mp4": ["-c:a", "libmp3lame"],
    "aac.aac": ["-c:a", "aac"],
    "opus.webm": ["-c:a", "libopus"],
    "vorbis.webm": ["-c:a", "libvorbis"],
    "mp3.mkv": ["-c:a", "libmp3lame"],
    "opus.caf": ["-c:a", "libopus"],
    "speex.ogg": ["-c:a", "libspeex", "-ar", "32000"],
    "ac3.mkv": ["-c:a", "ac3"],
}


@pytest.mark.parametrize("name", LOSSLESS)
async def test_lossless_audio_comes_in_as_it_was(
    name: str, convert: Convert, tone: Samples, out: Path
) -> None:
    path = convert(name, *LOSSLESS[name])
    assert await ingest(path.rename(path.with_name("upload")), out, LIMITS) == Ingested(
        44_100, 2, 88_200
    )
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize("name", LOSSY)
async def test_lossy_audio_comes_in(name: str, convert: Convert, out: Path) -> None:
    found = await ingest(convert(name, *LOSSY[name]), out, LIMITS)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)
    kept, rate = sf.read(out, dtype="float32", always_2d=True)
    loudest = np.abs(np.fft.rfft(kept[rate // 2 : rate // 2 + rate, 0])).argmax()
    assert loudest == pytest.approx(440, abs=2)


async def test_what_a_browser_records(pipe: Pipe, out: Path) -> None:
    """MediaRecorder's WebM: clusters of unknown length, no duration, no cues."""
    path = pipe("blob", "ffmpeg", "-c:a", "libopus", "-f", "webm", "-live", "1")
    assert b"\x44\x89\x88" not in path.read_bytes()  # a duration of eight bytes
    found = await ingest(path, out, LIMITS)
    assert found == Ingested(48_000, 2, found.samples)
    assert found.samples / 48_000 == pytest.approx(2, abs=0.03)
    os.truncate(path, path.stat().st_size * 2 // 3)  # its last pieces never arrived
    found = await ingest(path, out, LIMITS)
    assert found.warning.startswith("it breaks off, or is damaged inside; what could be read, 1.")


async def test_amr(tmp_path: Path, out: Path) -> None:
    (tmp_path / "memo").write_bytes(AMR)
    assert await ingest(tmp_path / "memo", out, LIMITS) == Ingested(8_000, 1, 16_000)
    (tmp_path / "memo").write_bytes(b"#!AMR-WB\n" + (b"\x04" + bytes(17)) * 100)
    assert await ingest(tmp_path / "memo", out, LIMITS) == Ingested(16_000, 1, 32_000)


TAGGED = ["aac.aac", "a.flac", "a.wav", "a.aiff", "a.ogg", "a.mp3", "a.m4a", "a.caf", "a.webm"]


@pytest.mark.parametrize("name", TAGGED)
@pytest.mark.parametrize("tags", [ID3, ID3 * 2])
async def test_id3_tags_before_any_file(
    name: str, tags: bytes, convert: Convert, out: Path
) -> None:
    path = convert(name)
    whole = await ingest(path, out, LIMITS)
    path.write_bytes(tags + path.read_bytes())
    assert await ingest(path, out, LIMITS) == whole


@pytest.mark.parametrize(
    "name", ["aac.aac", "a.flac", "a.wav", "a.aiff", "a.ogg", "a.mp3", "a.m4a"]
)
async def test_tags_behind_any_file(name: str, convert: Convert, out: Path) -> None:
    path = convert(name)
    whole = await ingest(path, out, LIMITS)
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16)
    path.write_bytes(path.read_bytes() + bytes(1968) + ape + b"TAG" + b"title".ljust(125, b"\0"))
    found = await ingest(path, out, LIMITS)
    assert found.samples == pytest.approx(whole.samples, abs=1024)  # for AAC it is a broken frame


@pytest.fixture
def film(convert: Convert) -> Callable[..., Path]:
    """``film(name, *arguments)``: the tone together with a moving picture."""

    def run(name: str, *arguments: str) -> Path:
        picture = ["-f", "lavfi", "-i", "testsrc=duration=2:size=320x240"]
        return convert(name, *picture, "-map", "1", "-map", "0", *arguments)

    return run


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("phone.mp4", ["-c:v", "libx264", "-c:a", "aac"]),
        ("phone.mov", ["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "aac"]),
        ("screen.webm", ["-c:v", "libvpx", "-c:a", "libopus"]),
        ("screen.mkv", ["-c:v", "mpeg4", "-c:a", "flac"]),
        ("film.ogv", ["-c:v", "libtheora", "-c:a", "libvorbis"]),
    ],
)
async def test_the_sound_of_a_video(
    name: str, arguments: list[str], film: Callable[..., Path], out: Path
) -> None:
    found = await ingest(film(name, *arguments), out, LIMITS)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a"])
async def test_cover_art(name: str, convert: Convert, out: Path) -> None:
    picture = ["-f", "lavfi", "-i", "color=red:size=500x500:duration=0.04"]
    art = ["-c:v", "png", "-disposition:v", "attached_pic"]
    found = await ingest(convert(name, *picture, "-map", "0", "-map", "1", *art), out, LIMITS)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)


async def test_the_stream_that_can_be_decoded_is_taken(convert: Convert, out: Path) -> None:
    """Some phones put sound in a format of their own before, or beside, the usual one."""
    streams = ["-map", "0", "-map", "0", "-c:a:0", "wmav2", "-c:a:1", "flac"]
    assert await ingest(convert("two.mkv", *streams), out, LIMITS) == Ingested(44_100, 2, 88_200)


async def test_what_holds_no_sound_or_none_that_can_be_decoded(
    convert: Convert, film: Callable[..., Path], out: Path
) -> None:
    silent = film("silent.mp4", "-an", "-c:v", "libx264")
    assert await refusal(silent, out) == ("not_audio", "It is an MP4 or M4A file without sound.")
    code, reason = await refusal(convert("a.mkv", "-c:a", "wmav2"), out)
    assert code == "unreadable"
    assert reason.startswith("It is a WebM or Matroska file whose codec (wmav2) cannot be read")
    code, reason = await refusal(convert("a.wav", "-c:a", "aac"), out)
    assert code == "unreadable"
    assert "codec that cannot be read (0x00FF)" in reason


async def test_mp3_in_a_wav(convert: Convert, out: Path) -> None:
    path = convert("a.wav", "-c:a", "libmp3lame")
    assert (await ingest(path, out, LIMITS)).samples == pytest.approx(88_200, abs=3000)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mka", "libopus"), ("a.webm", "libopus"), ("a.m4a", "aac"), ("a.mov", "pcm_s16le")],
)
async def test_sound_that_starts_late_is_whole(
    name: str, codec: str, make: Make, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / name
    late = ["ffmpeg", "-v", "error", "-itsoffset", "1", "-i", str(make("tone.wav"))]
    subprocess.run([*late, "-c:a", codec, path], check=True, stdin=subprocess.DEVNULL)
    found = await ingest(path, out, LIMITS)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libopus"), ("a.m4a", "aac"), ("a.mka", "flac")]
)
async def test_a_gap_becomes_silence(name: str, codec: str, convert: Convert, out: Path) -> None:
    path = convert(name, "-c:a", codec, "-af", "aselect='not(between(t,0.5,1.2))'")
    found = await ingest(path, out, LIMITS)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)
    kept, rate = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept[int(0.7 * rate) : int(1.1 * rate)]).max() < 0.01
    assert np.abs(kept[int(1.5 * rate) :]).max() > 0.4


@pytest.mark.parametrize(("name", "codec"), [("a.caf", "pcm_s16be"), ("a.mka", "pcm_s16le")])
async def test_more_channels_than_are_accepted(
    name: str, codec: str, convert: Convert, make: Make, out: Path
) -> None:
    many = make("many.wav", np.zeros((48_000, 16), np.float32), 48_000)
    path = convert(name, "-c:a", codec, source=many)
    assert await refusal(path, out) == (
        "unreadable",
        "The audio has 16 channels; the most is 8.",
    )


@pytest.mark.parametrize(
    ("line", "channels"),
    [
        (b": Audio: aac (LC), 48000 Hz, stereo, fltp", 0),
        (b": Audio: aac (LC), 48000 Hz, 7.1, fltp", 0),
        (b": Audio: pcm_s16be, 48000 Hz, 16 channels, s16", 16),
        (b": Audio: pcm_s16be, 48000 Hz, hexadecagonal, s16", 16),
        (b": Audio: pcm_s16be, 48000 Hz, 22.2, s16", 24),
    ],
)
def test_channels_as_ffmpeg_prints_them(line: bytes, channels: int) -> None:
    assert _channels(line) == channels


async def test_a_damaged_frame_beside_a_longer_picture(
    film: Callable[..., Path], out: Path
) -> None:
    picture = ["-c:v", "libx264", "-vf", "tpad=stop_duration=0.5:stop_mode=clone"]
    path = film("film.mp4", *picture, "-c:a", "aac")
    asked = ["ffprobe", "-v", "error", "-select_streams", "a", "-of", "json"]
    asked += ["-show_entries", "packet=pos,size", str(path)]
    packet = json.loads(subprocess.check_output(asked))["packets"][40]
    content = bytearray(path.read_bytes())
    at, size = int(packet["pos"]), int(packet["size"])
    content[at : at + size] = b"\xff" * size
    path.write_bytes(content)
    found = await ingest(path, out, LIMITS)
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.08)
    assert found.warning.startswith("it breaks off, or is damaged inside")


async def test_a_film_that_is_cut_off(film: Callable[..., Path], out: Path) -> None:
    path = film("film.mp4", "-c:v", "libx264", "-c:a", "aac", "-movflags", "+faststart")
    os.truncate(path, path.stat().st_size // 2)
    code, reason = await refusal(path, out)
    assert code == "truncated"
    assert "of 2.00 seconds only the first" in reason


async def test_a_full_disk_is_not_the_fault_of_the_file(
    convert: Convert, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = convert("a.m4a")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "r+"))
    with pytest.raises(StorageFull, match="the storage is full"):
        await ingest(path, out, LIMITS)
    path.write_bytes(ID3 + path.read_bytes())
    with pytest.raises(StorageFull, match="the storage is full"):
        await ingest(path, out, LIMITS)


async def test_more_sound_than_may_be_stored(convert: Convert, make: Make, out: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * 96_000, 8)).astype(np.float32)
    source = make("noise.wav", noise, 96_000, subtype="PCM_24")
    path = convert("a.caf", "-c:a", "pcm_s24be", source=source)
    code, reason = await refusal(path, out, LIMITS.model_copy(update={"seconds": 4.0}))
    assert code == "too_large"
    assert reason.startswith("The audio is too large when decoded")


@pytest.mark.parametrize(
    ("name", "arguments", "function"),
    [
        ("a.caf", [], "caf_extent"),
        ("a.m4a", [], "mp4_missing"),
        ("a.oga", ["-c:a", "flac"], "ends_inside_page"),
    ],
)
async def test_the_event_loop_does_not_wait_for_the_file(
    name: str,
    arguments: list[str],
    function: str,
    convert: Convert,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real: Callable[[int], object] = getattr(ffmpeg_module, function)
    threads = []

    def spy(file: int) -> object:
        threads.append(threading.current_thread())
        return real(file)

    monkeypatch.setattr(ffmpeg_module, function, spy)
    await ingest(convert(name, *arguments), out, LIMITS)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
