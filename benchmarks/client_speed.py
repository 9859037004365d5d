"""Seconds of music per second that a client of the HTTP API gets from the mock engines.

Measured from the first byte of the first submit to the last byte of the last download: for each
format some songs one after another (how long one person waits), then as many at the same time (what
the service can deliver).

    python benchmarks/client_speed.py
    python benchmarks/client_speed.py --seconds 120 --songs 4 --url http://127.0.0.1:8001
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

FORMATS = ("mp3", "opus", "ogg", "flac", "wav")


@contextmanager
def service() -> Iterator[str]:
    """A separate service; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("acestep-ray")
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [program, "serve", "--port", str(port)], env=os.environ | {"ACESTEP_DATA": folder}
        )
        try:
            while not is_ready(url):
                if process.poll() is not None:
                    raise SystemExit("the service did not start")
                time.sleep(0.2)
            yield url
        finally:
            process.send_signal(2)
            process.wait()


def is_ready(url: str) -> bool:
    """Whether it accepts songs."""
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def song(client: httpx.Client, audio_format: str, seconds: float) -> None:
    """Ask for one take, wait for it and fetch it."""
    asked = {"caption": "pop", "lyrics": "Hello world", "audio_format": audio_format}
    asked |= {"audio_duration": str(seconds), "batch_size": "1"}
    job = client.post("/v1/music/generate", json=asked).raise_for_status().json()
    while job["status"] not in ("succeeded", "failed"):
        job = client.get(f"/v1/jobs/{job['job_id']}", params={"wait": 20}).json()
    if job["status"] == "failed":
        raise SystemExit(job["error"])
    client.get(job["result"]["first_audio_path"]).raise_for_status()


def measure(url: str, seconds: float, songs: int) -> None:
    """Print one row per format."""
    with httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(songs) as pool:
        for audio_format in FORMATS:
            song(client, audio_format, seconds)  # first use loads some modules
            started = time.perf_counter()
            for _ in range(songs):
                song(client, audio_format, seconds)
            alone = time.perf_counter() - started
            started = time.perf_counter()
            list(pool.map(lambda _, f=audio_format: song(client, f, seconds), range(songs)))
            together = time.perf_counter() - started
            made = songs * seconds
            print(
                f"{audio_format:5} {alone / songs:6.2f} s a song, {made / alone:5.0f} times real "
                f"time; {songs} at once {made / together:5.0f} times; "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a service that runs; default: start one")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a song")
    parser.add_argument("--songs", type=int, default=8)
    options = parser.parse_args()
    if options.url:
        measure(options.url, options.seconds, options.songs)
    else:
        with service() as url:
            measure(url, options.seconds, options.songs)


if __name__ == "__main__":
    main()
