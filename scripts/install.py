"""``install.py WHAT ARGUMENT …``: ``pip install ARGUMENT …`` for this Python. It shows its progress
in one line, instead of pip's hundreds.

uv does it, in a fraction of pip's time. If uv cannot, pip does it. After a failure the installer's
own message is shown and, if its cause is clear, a sentence with the cure.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
UV = Path(sys.executable).with_name("uv")
LOG = Path(sys.prefix) / "install.log"
"""Everything that the installers printed in the last run."""
STARTED = time.monotonic()
QUIET_SECONDS = 10.0
"""Seconds between two progress lines if there is no terminal."""

UV_HAS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
}
"""Settings of pip that uv has under another name; uv does not read pip's."""
PIP_ONLY = {"no-index", "proxy", "trusted-host", "client-cert", "only-binary", "no-binary", "pre"}
"""Settings of pip for which pip installs everything."""

FAULTS = {
    r"No space left|os error 28|Disk quota": "the disk is full: {free:,} MB are free where "
    "{prefix} is. (Caches and the folder for temporary files, TMPDIR, may be on another disk.)",
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|error sending request|"
    r"Read timed out|Network is unreachable": "the package index cannot be reached: is there a "
    "network? Behind a proxy set HTTPS_PROXY, with an index of your own PIP_INDEX_URL.",
    r"CERTIFICATE_VERIFY_FAILED": "the package index has a certificate that is not trusted here: "
    "behind a company's proxy, name the proxy's own in PIP_CERT.",
    r"No matching distribution found for ray\b": "Ray has no package for this machine: it needs "
    "Linux with glibc, on x86-64 or ARM64.",
}
"""What an installer prints, and what it means; the first match counts."""

UNITS = {"k": 1e-3, "K": 1e-3, "M": 1.0, "G": 1e3}


class Progress:
    """The progress of an installer, from its output."""

    def __init__(self, phase: str = "finding out what is needed") -> None:
        self.phase = phase
        self._packages = 0
        self._sizes: dict[str, float] = {}
        self._loaded: set[str] = set()

    def read(self, line: str) -> None:
        """Process one line of uv or pip."""
        if found := re.match(r"Resolved (\d+) packages?", line):
            self._packages = int(found[1])
            self.phase = "downloading"
        elif re.match("Collecting ", line):
            self._packages += 1
        elif found := re.match(r" *Downloading (\S+) \(([\d.]+) ?([kKMG])i?B\)", line):
            self._sizes[found[1]] = float(found[2]) * UNITS[found[3]]
        elif found := re.match(r" Downloaded (\S+)", line):
            self._loaded.add(found[1])
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self._packages = len(found[1].split(", "))
            self.phase = "unpacking"
        elif re.match("Prepared ", line):
            self.phase = "unpacking"

    def __str__(self) -> str:
        parts = [self.phase]
        if self._packages:
            parts.append(f"{self._packages} package{'s' * (self._packages > 1)}")
        if self._sizes and self.phase != "unpacking":
            size = sum(self._sizes.values())
            here = sum(self._sizes[name] for name in self._loaded & self._sizes.keys())
            parts.append(f"{here:.0f} of {size:.0f} MB" if self._loaded else f"{size:.0f} MB")
        return ", ".join(parts)


def main(what: str, *arguments: str) -> int:
    """Install, and return the exit status."""
    LOG.unlink(missing_ok=True)
    print(f"== installing {what}", flush=True)
    settings = pip_settings()
    code, output = 1, ""
    if not settings.keys() & PIP_ONLY:
        if not UV.exists():
            code, output = run([*PIP, "install", "uv"], Progress("getting uv, faster than pip"))
        if UV.exists():
            command = [str(UV), "pip", "install", "--python", sys.executable, *arguments]
            code, output = run(command, Progress(), uv_environment(settings))
    if code and not fault(output):
        code, output = run([*PIP, "install", *arguments], Progress())
    if code:
        sys.stderr.write(f"{excerpt(output)}\n")
        meaning = fault(output)
        sys.stderr.write(f"acestep-ray: {meaning}\n" if meaning else "")
        sys.stderr.write(f"acestep-ray: {what} could not be installed; all of it is in {LOG}\n")
    else:
        print(f"== installed {what} in {clock()}", flush=True)
    return code


def run(
    command: list[str], progress: Progress, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run an installer and show its progress; returns its exit status and its whole output."""
    ended, lines = threading.Event(), []
    shower = threading.Thread(target=show, args=(progress, ended))
    with (
        LOG.open("a") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        log.write(f"$ {' '.join(command)}\n")
        assert process.stdout
        shower.start()
        try:
            for line in process.stdout:
                lines.append(line)
                log.write(line)
                progress.read(line)
        finally:
            ended.set()
            shower.join()
    return process.returncode, "".join(lines)


def show(progress: Progress, ended: threading.Event) -> None:
    """Show ``progress`` until ``ended``: on a terminal in one line, otherwise now and then."""
    terminal = sys.stdout.isatty()
    while not ended.wait(0.2 if terminal else QUIET_SECONDS):
        line = f"   {clock()}  {progress}"
        print(f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
    if terminal:
        print("\r\x1b[K", end="", flush=True)


def clock() -> str:
    """Minutes and seconds since the start."""
    return "{}:{:02}".format(*divmod(round(time.monotonic() - STARTED), 60))


def pip_settings() -> dict[str, str]:
    """The settings that pip gets from its files and variables."""
    output = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    # A variable (:env:) overrides pip's section (install), and that overrides the one for all
    # (global).
    for section in ("global", "install", ":env:"):
        for line in output.stdout.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment with which uv searches the same places as pip."""
    variables = {UV_HAS[name]: value for name, value in settings.items() if name in UV_HAS}
    # As pip: the newest of all places, not only the first place's.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables, **os.environ}


def fault(output: str) -> str:
    """A sentence with the cause and the cure, if the cause is clear; otherwise empty."""
    free = shutil.disk_usage(sys.prefix).free // 1_000_000
    for pattern, meaning in FAULTS.items():
        if re.search(pattern, output):
            return meaning.format(free=free, prefix=sys.prefix)
    return ""


def excerpt(output: str) -> str:
    """The installer's own error, without its output before that."""
    lines = [line for line in output.splitlines() if not line.startswith("WARNING: Retrying")]
    at = next((n for n, line in enumerate(lines) if re.match(r" *(error|ERROR|×)", line)), -15)
    return "\n".join(lines[at:][-30:])


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:
        sys.exit(f"acestep-ray: {error.strerror}: {error.filename}")
    except KeyboardInterrupt:
        sys.exit("acestep-ray: stopped; the next try goes on where this one was")
