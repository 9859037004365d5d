"""ffmpeg has the limits of every reader, opens nothing but the file, and may be missing or fail."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acestep_ray.audio.ingest.child import SCRIPT, AudioRejected
from acestep_ray.audio.ingest.ffmpeg import FORMATS
from acestep_ray.audio.ingest.ingest import ingest
from acestep_ray.settings import Ingest
from tests.unit.audio.conftest import Convert, Make
from tests.unit.audio.ingest.reading import AMR, LIMITS, refusal

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
    code, reason = await refusal(tmp_path / "upload", out)
    assert code == "unreadable"
    assert reason.startswith(f"It is {FORMATS[kind][0]}, and the server has no ffmpeg")  # type: ignore[index]
    assert "install ffmpeg there, or send MP3, WAV, FLAC" in reason


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``ffmpeg(script)``: this Python script is called in place of ffmpeg."""

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
    assert (await refusal(tmp_path / "upload", out, limits))[0] == "unreadable"
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
    if not code:  # its first call writes to nowhere; a later one, into the FLAC
        code = "unreadable" if when == "at once" else "too_large"
    assert (await refusal(tmp_path / "upload", out, limits))[0] == code


def test_it_may_have_its_input_open_and_nothing_else(make: Make, tmp_path: Path) -> None:
    """Whatever a file makes ffmpeg do: no other file, no socket, no other process' files."""
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
    code, _ = await refusal(tmp_path / "upload", out)
    assert code in ("not_audio", "unreadable", "truncated")


async def test_a_quicktime_file_cannot_name_another_file(
    convert: Convert, make: Make, tmp_path: Path, out: Path
) -> None:
    """Its data reference normally names the file itself; here it names another."""
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
    assert b"Skipped opening external track" in printed  # ffmpeg did read the reference
    with pytest.raises(AudioRejected):
        await ingest(path, out, LIMITS)


async def test_too_long_is_found_while_it_is_decoded(convert: Convert, out: Path) -> None:
    limits = LIMITS.model_copy(update={"seconds": 1.5})
    for name in ("a.m4a", "a.webm", "a.caf"):
        assert (await refusal(convert(name), out, limits))[0] == "too_long"


async def test_many_channels_and_odd_rates(convert: Convert, make: Make, out: Path) -> None:
    eight = make("eight.wav", np.zeros((48_000, 8), np.float32), 48_000)
    assert (await ingest(convert("a.caf", source=eight), out, LIMITS)).channels == 8
    slow = convert("slow.caf", "-ar", "4000")
    assert await refusal(slow, out) == (
        "unreadable",
        "The sample rate is 4000 Hz; it must lie between 8000 and 192000 Hz.",
    )


async def test_the_least_memory_that_may_be_set_suffices(convert: Convert, out: Path) -> None:
    limits = LIMITS.model_copy(update={"memory_bytes": 512_000_000})
    with pytest.raises(ValueError, match="512000000"):
        Ingest(memory_bytes=511_999_999)
    for name in ("a.m4a", "a.webm"):
        assert (await ingest(convert(name), out, limits)).samples > 0
