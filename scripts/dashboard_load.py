"""Load a service with mock engines for some minutes, and draw its dashboard: ``make dashboard``.

The load has what an operator should see: a quiet time, more work than the decoder can do, a full
queue, wrong uploads, cancelled jobs, a webhook receiver that fails for a while, and a decoder that
is killed.

    python -m scripts.dashboard_load --minutes 10 docs/images/dashboard.png
"""

import argparse
import io
import random
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from scripts.dashboard_panels import DASHBOARD
from scripts.draw_dashboard import draw
from tests.prometheus import Prometheus
from tests.service import Service, running
from tests.webhook_receiver import SECRET, Receiver, Reply, receiving

ENVIRONMENT = {
    "ACESTEP_MOCK__STEP_SECONDS": "0.12",
    "ACESTEP_MOCK__TOKEN_SECONDS": "0.03",
    "ACESTEP_LIMITS__QUEUE": "25",
    "ACESTEP_WEBHOOKS__SECRET": SECRET,
    "ACESTEP_WEBHOOKS__ALLOW": "loopback",
}
RULES = DASHBOARD.with_name("alerts.yaml")
SCRAPE_SECONDS = 10.0


def song(seconds: float = 5.0) -> bytes:
    """A WAV of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16_000)))
    return out.getvalue()


class Load:
    """Clients of one service. ``share``: how much of the run is over, 0 to 1."""

    def __init__(self, service: Service, receiver: Receiver, seconds: float) -> None:
        self._service = service
        self._hook = f"{receiver.url}/hook"
        self._seconds = seconds
        self._began = time.monotonic()
        self._random = random.Random(7)
        self._jobs: list[str] = []
        receiver.reply = lambda _: Reply(500 if 0.5 < self.share < 0.6 else 204)

    @property
    def share(self) -> float:
        return (time.monotonic() - self._began) / self._seconds

    def run(self) -> None:
        """Until the time is over; the decoder is killed after two thirds of it."""
        killed = False
        while self.share < 1:
            self._request()
            if self.share > 0.66 and not killed:
                killed = True
                self._service.kill("ray::ServeReplica:acestep:Decoder")
            busy = 0.2 < self.share < 0.45
            time.sleep(self._random.expovariate(1 / (0.7 if busy else 4.0)))

    def _request(self) -> None:
        kind = self._random.random()
        http = self._service.http
        with suppress(httpx.HTTPError):
            if kind < 0.08:
                files = {"src_audio": ("song.mp3", b"this is no audio", "audio/mpeg")}
                http.post("/v1/music/generate", data={"task_type": "cover"}, files=files)
            elif kind < 0.12:
                http.post("/v1/music/generate", content=b"{", headers={"Content-Type": "text/json"})
            elif kind < 0.2 and self._jobs:
                http.post(f"/v1/jobs/{self._random.choice(self._jobs)}/cancel")
            else:
                self._submit(http)
            http.get("/v1/stats")
            http.get("/v1/jobs", params={"limit": 20})

    def _submit(self, http: httpx.Client) -> None:
        fields: dict[str, str] = {
            "caption": "a calm tune",
            "audio_duration": "10",
            "batch_size": "1",
            "webhook_url": self._hook,
        }
        files = {}
        if self._random.random() < 0.3:
            fields["task_type"] = self._random.choice(["cover", "repaint"])
            files = {"src_audio": ("song.wav", song(), "audio/wav")}
        elif self._random.random() < 0.6:
            fields["thinking"] = "true"
        answer = http.post("/v1/music/generate", data=fields, files=files or None)
        if answer.status_code == 200:
            self._jobs = [*self._jobs[-5:], answer.json()["job_id"]]


def follow(service: Service) -> None:
    """Read the events of all jobs, again after a pause if the stream ends."""
    while True:
        events = httpx.stream("GET", f"{service.url}/v1/events", timeout=60)
        with suppress(httpx.HTTPError), events as stream:
            for _ in stream.iter_lines():
                pass
        time.sleep(1)


@contextmanager
def loaded(folder: Path, seconds: float) -> Iterator[Prometheus]:
    """A Prometheus that has watched a service under load for ``seconds``."""
    with (
        running(folder / "data", ENVIRONMENT) as service,
        receiving() as receiver,
        Prometheus(folder / "prometheus", [service.metrics_port], [RULES], SCRAPE_SECONDS) as found,
    ):
        for _ in range(5):
            threading.Thread(target=follow, args=(service,), daemon=True).start()
        Load(service, receiver, seconds).run()
        yield found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder, loaded(Path(folder), seconds) as prometheus:
        end = time.time()
        draw(prometheus.url, end - seconds, end, arguments.file)
        print(f"{arguments.file}: {arguments.file.stat().st_size:,} bytes")
        print("alerts:", prometheus.alerts() or "none")


if __name__ == "__main__":
    main()
