"""What libsndfile does not read goes through ffmpeg, where there is one, under the same limits."""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.artifacts.errors import StorageFull
from acestep_ray.audio.ingest import ffmpeg as ffmpeg_module
from acestep_ray.audio.ingest.child import SCRIPT, AudioRejected
from acestep_ray.audio.ingest.ffmpeg import FORMATS, _channels
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.settings import Ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make, Pipe

LIMITS = Ingest()
AMR = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 100
"""Two seconds."""
ID3 = b"ID3\x04\0\0\0\0\0\x05hello"


async def _refusal(source: Path, out: Path, limits: Ingest = LIMITS) -> tuple[str, str]:
    with pytest.raises(AudioRejected) as caught:
        await ingest(source, out, limits)
    assert list(out.parent.iterdir()) == []
    reason = caught.value.reason
    assert reason[0].isupper() and reason.endswith(".") and "\n" not in reason
    return caught.value.code, reason


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
    os.truncate(path, path.stat().st_size * 2 // 3)  # its last pieces never came
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
    assert found.samples == pytest.approx(whole.samples, abs=1024)  # to AAC it is a broken frame


@pytest.fixture
def film(convert: Convert) -> Callable[..., Path]:
    """``film(name, *arguments)``: the tone beside a picture that moves."""

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
    """Some phones put sound of their own kind before, or beside, the common one."""
    streams = ["-map", "0", "-map", "0", "-c:a:0", "wmav2", "-c:a:1", "flac"]
    assert await ingest(convert("two.mkv", *streams), out, LIMITS) == Ingested(44_100, 2, 88_200)


async def test_what_holds_no_sound_or_none_that_can_be_decoded(
    convert: Convert, film: Callable[..., Path], out: Path
) -> None:
    silent = film("silent.mp4", "-an", "-c:v", "libx264")
    assert await _refusal(silent, out) == ("not_audio", "It is an MP4 or M4A file without sound.")
    code, reason = await _refusal(convert("a.mkv", "-c:a", "wmav2"), out)
    assert code == "unreadable"
    assert reason.startswith("It is a WebM or Matroska file whose codec (wmav2) cannot be read")
    code, reason = await _refusal(convert("a.wav", "-c:a", "aac"), out)
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
    assert await _refusal(path, out) == (
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
    code, reason = await _refusal(path, out)
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
    code, reason = await _refusal(path, out, LIMITS.model_copy(update={"seconds": 4.0}))
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


HEADS = {
    "mp4": b"\0\0\0\x10ftypM4A \0\0\0\0",
    "aac": b"\xff\xf1\x50\x80\x01\x1f\xfc\0" * 4,
    "caf": b"caff\0\1\0\0",
    "matroska": b"\x1a\x45\xdf\xa3",
    "amr": AMR,
    "ogg_other": b"OggS\0\2" + bytes(20) + b"\1\x08Speex   " + bytes(30),
}


@pytest.mark.parametrize("kind", FORMATS)
async def test_without_ffmpeg_kind_and_cure_are_named(
    kind: str, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "upload").write_bytes(HEADS[kind])
    code, reason = await _refusal(tmp_path / "upload", out)
    assert code == "unreadable"
    assert reason.startswith(f"It is {FORMATS[kind][0]}, and the server has no ffmpeg")  # type: ignore[index]
    assert "install ffmpeg there, or send MP3, WAV, FLAC" in reason


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``ffmpeg(script)``: that, in Python, is called where ffmpeg would be."""

    def replace(script: str) -> None:
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable} -IS\nimport os, sys\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return replace


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_kind_is_under_the_same_limits(
    kind: str, ffmpeg: Callable[[str], None], tmp_path: Path, out: Path
) -> None:
    seen = tmp_path / "seen"
    ffmpeg(
        f"""
import resource, json
limits = {{name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0]
          for name in ("AS", "CPU", "FSIZE", "CORE", "NOFILE")}}
with open({str(seen)!r}, "a") as file:
    print(json.dumps([sys.argv[1:], limits, sorted(os.environ)]), file=file)
print("Input #0", file=sys.stderr)
print("  Stream #0:0: Audio: aac", file=sys.stderr)
sys.exit("of its own" if "-map" in sys.argv else 1)
"""
    )
    (tmp_path / "upload").write_bytes(HEADS[kind])
    limits = Ingest(seconds=10, cpu_seconds=37, memory_bytes=600_000_000)
    assert (await _refusal(tmp_path / "upload", out, limits))[0] == "unreadable"
    runs = [json.loads(line) for line in seen.read_text().splitlines()]
    assert len(runs) == 2
    for arguments, found, environment in runs:
        assert found == {
            "AS": 600_000_000,
            "CPU": 37,
            "FSIZE": 12_798_976,
            "CORE": 0,
            "NOFILE": 4,
        }
        given = " ".join(arguments)
        assert "-protocol_whitelist file " in given
        assert f"-f {FORMATS[kind][1]} " in given  # type: ignore[index]
        assert "-i file:/proc/self/fd/0 " in given
        assert "-codec_whitelist mp3float," in given
        assert "ACESTEP_API_KEY" not in environment
    assert "-t 11 " in " ".join(runs[1][0])


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("sys.exit(1)", "unreadable"),
        ("sys.exit(0)", "unreadable"),
        ("os.abort()", "unreadable"),
        ("os.kill(os.getpid(), 9)", "too_complex"),
        ("import time; time.sleep(600)", "too_complex"),
        ("while True: print('x' * 1000, file=sys.stderr)", "unreadable"),
        ("while True: os.write(1, bytes(1_000_000))", ""),
    ],
)
@pytest.mark.parametrize("when", ["at once", "while it decodes"])
async def test_whatever_becomes_of_ffmpeg_is_a_refusal(
    script: str, code: str, when: str, ffmpeg: Callable[[str], None], tmp_path: Path, out: Path
) -> None:
    described = "print('Input #0\\n  Stream #0:0: Audio: aac', file=sys.stderr)"
    ffmpeg(script if when == "at once" else f"{described}\nif '-map' in sys.argv:\n  {script}")
    (tmp_path / "upload").write_bytes(HEADS["mp4"])
    limits = Ingest(seconds=1, cpu_seconds=1 if "sleep" in script else 60)
    if not code:  # at once it writes into nowhere; later, into the FLAC
        code = "unreadable" if when == "at once" else "too_large"
    assert (await _refusal(tmp_path / "upload", out, limits))[0] == code


def test_it_may_have_its_input_open_and_nothing_else(make: Make, tmp_path: Path) -> None:
    """Whatever a file makes of ffmpeg: no other file, no socket, no other process' files."""
    script = """
import socket, subprocess
held = os.open("/proc/self/fd/0", os.O_RDONLY)
print(os.read(held, 4), file=sys.stderr)
for attempt in (
    lambda: os.open("/etc/passwd", os.O_RDONLY),
    lambda: os.listdir("/"),
    lambda: socket.socket(),
    lambda: os.pipe(),
    lambda: os.dup(0),
    lambda: subprocess.run(["true"]),
):
    try:
        attempt()
        print("done", file=sys.stderr)
    except OSError as error:
        print(error.errno, file=sys.stderr)
os.write(1, b"made")
"""
    run = [sys.executable, "-IS", "-c", "import os, sys" + script]
    limits = {"seconds": 1.0, "cpu": 60.0, "memory": 2_000_000_000, "bytes": 10_000}
    path = tmp_path / "out"
    with make("a.wav").open("rb") as source, path.open("w+b") as made:
        order = {"out": made.fileno(), "run": run, **limits}
        printed = subprocess.run(
            [sys.executable, "-I", SCRIPT, json.dumps(order)],
            stdin=source,
            stdout=subprocess.PIPE,
            pass_fds=[made.fileno()],
            check=True,
            text=True,
        ).stdout
    assert printed.split() == ["b'RIFF'"] + ["24"] * 6
    assert path.read_bytes() == b"made"


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile {secret}\n",
        b"\0\0\0\x20ftypM4A \0\0\0\0\n#EXTM3U\n#EXTINF:10,\n{secret}\n",
        b"\x1a\x45\xdf\xa3\n#EXTM3U\n#EXTINF:10,\nfile:{secret}\n",
        b"caff\0\1\0\0\nffconcat version 1.0\nfile {secret}\n",
        b"#!AMR\n\n#EXTM3U\n#EXTINF:10,\nconcat:{secret}|{secret}\n",
        b"concat:{secret}",
        b"<?xml version='1.0'?><MPD><BaseURL>{secret}</BaseURL></MPD>",
    ],
)
async def test_a_playlist_in_disguise_leads_nowhere(
    content: bytes, make: Make, tmp_path: Path, out: Path
) -> None:
    secret = make("secret.wav")
    (tmp_path / "upload").write_bytes(content.replace(b"{secret}", str(secret).encode()))
    code, _ = await _refusal(tmp_path / "upload", out)
    assert code in ("not_audio", "unreadable", "truncated")


async def test_a_quicktime_file_cannot_name_another_file(
    convert: Convert, make: Make, tmp_path: Path, out: Path
) -> None:
    """Its data reference states that the samples lie in itself; here it names another file."""
    path = convert("a.mov", "-c:a", "pcm_s16le", "-movflags", "+faststart")
    other = str(convert("other.mov", "-c:a", "pcm_s16le")).encode()
    volume = b"\4disk".ljust(28, b"\0") + bytes(12) + b"\5other".ljust(64, b"\0") + bytes(16)
    named = struct.pack(">HH", 2, len(other)) + other + bytes(len(other) % 2) + b"\xff\xff\0\0"
    alias = bytes(4) + bytes(10) + volume + struct.pack(">hh", 1, 1) + bytes(16) + named
    content = bytearray(path.read_bytes())
    at = content.index(b"url \0\0\0\1") - 4
    content[at : at + 12] = struct.pack(">I", 8 + len(alias)) + b"alis" + alias
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = content.rindex(box, 0, at) - 4
        (length,) = struct.unpack(">I", content[start : start + 4])
        content[start : start + 4] = struct.pack(">I", length + len(alias) - 4)
    path.write_bytes(content)
    printed = subprocess.run(["ffmpeg", "-i", path], capture_output=True, check=False).stderr
    assert b"Skipped opening external track" in printed  # it was understood
    with pytest.raises(AudioRejected):
        await ingest(path, out, LIMITS)


async def test_too_long_is_found_while_it_is_decoded(convert: Convert, out: Path) -> None:
    limits = LIMITS.model_copy(update={"seconds": 1.5})
    for name in ("a.m4a", "a.webm", "a.caf"):
        assert (await _refusal(convert(name), out, limits))[0] == "too_long"


async def test_many_channels_and_odd_rates(convert: Convert, make: Make, out: Path) -> None:
    eight = make("eight.wav", np.zeros((48_000, 8), np.float32), 48_000)
    assert (await ingest(convert("a.caf", source=eight), out, LIMITS)).channels == 8
    slow = convert("slow.caf", "-ar", "4000")
    assert await _refusal(slow, out) == (
        "unreadable",
        "The sample rate is 4000 Hz; it must lie between 8000 and 192000 Hz.",
    )


async def test_the_least_memory_that_may_be_set_suffices(convert: Convert, out: Path) -> None:
    limits = LIMITS.model_copy(update={"memory_bytes": 512_000_000})
    with pytest.raises(ValueError, match="512000000"):
        Ingest(memory_bytes=511_999_999)
    for name in ("a.m4a", "a.webm"):
        assert (await ingest(convert(name), out, limits)).samples > 0
