"""ffmpeg: which audio cannot be read or written without it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator

from acestep_ray.audio.aac import writable_formats
from acestep_ray.audio.ingest.ffmpeg import (
    DECODERS,
    READABLE_BY_FFMPEG,
    run_confined_version,
)
from acestep_ray.audio.ingest.sandbox import plain_environment
from acestep_ray.formats import FORMATS
from acestep_ray.settings import Ingest
from acestep_ray.startup.doctor.result import Result, ok, warning
from acestep_ray.startup.doctor.setup import Setup

RUN_SECONDS = 20.0
NEEDED = ("aac", "opus")
"""Codecs of what phones and browsers record."""


def check_ffmpeg(setup: Setup) -> Iterator[Result]:
    """See Check."""
    program = shutil.which("ffmpeg")
    if program is None:
        yield warning(
            f"ffmpeg is not on the PATH, so that the service cannot read {READABLE_BY_FFMPEG}, and "
            "cannot write AAC: install ffmpeg if clients need them."
        )
        return
    version, decoders = _run(program, "-version"), _run(program, "-decoders")
    if not version:
        yield warning(
            f"{program} does not run, so that the service cannot read {READABLE_BY_FFMPEG}, and "
            "cannot write AAC: install another ffmpeg, or put its folder first on the PATH."
        )
        return
    if not _runs_confined(program, setup.config.settings.ingest if setup.config else Ingest()):
        yield warning(
            f"{program} runs, but not under the limits for reading clients' files, so that the "
            f"service cannot read {READABLE_BY_FFMPEG}: install your system's own ffmpeg (not a "
            "script or a snap), or raise ACESTEP_INGEST__MEMORY_BYTES."
        )
    there = {words[1] for line in decoders.splitlines() if len(words := line.split()) > 1}
    missing = [codec for codec in NEEDED if DECODERS[codec] not in there]
    if missing:
        yield warning(
            f"{program} was built without the decoders {', '.join(missing)}, which recordings of "
            "phones and browsers need: install your system's own ffmpeg."
        )
    unwritten = sorted(FORMATS.keys() - set(writable_formats()))
    if unwritten:
        yield warning(
            f"{program} cannot write {', '.join(unwritten)}, so that requests for it are refused: "
            "install your system's own ffmpeg if clients need it."
        )
    words = version.split()
    yield ok(f"{program}, version {words[2] if len(words) > 2 else 'unknown'}")


def _run(program: str, option: str) -> str:
    """What it prints; empty if it fails."""
    command = [program, "-hide_banner", option]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=plain_environment(),
            timeout=RUN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.decode(errors="replace")


def _runs_confined(program: str, limits: Ingest) -> bool:
    file = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return asyncio.run(run_confined_version(program, file, limits)).status == 0
    finally:
        os.close(file)
