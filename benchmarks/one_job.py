"""What one person waits for: the start of the service, the first sign of a job, and its end.

The times of jobs are those of events (``GET /v1/events``), from the sending of the submit to the
arrival of its first progress and of its end. The songs are short WAV files of the mock engines, one
after another on a service that is otherwise idle; from the time to the end, what the engines
themselves need is taken off. Also what the idle service costs: processor time, and the proportional
share of memory (PSS) of all its processes; and what it costs while a thousand jobs wait and two
hundred clients wait for changes (``?wait=``).

    python -m benchmarks.one_job
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import threading
import time
from collections import defaultdict
from contextlib import suppress

import httpx
import psutil

from acestep_ray.decoder.events import OFF_DEVICE
from acestep_ray.jobs.runner.runner import REPORT_EVERY
from benchmarks.front_door import ENDLESS
from benchmarks.service import PROXIES, figure, memory, processor_seconds, service

SONG = {"caption": "pop", "audio_duration": 2, "batch_size": 1, "audio_format": "wav"}
WAITING_JOBS, LONG_POLLS = 1000, 200
STATES = ("queued", "running", "succeeded")
ELSEWHERE = OFF_DEVICE | {"queued", "total"}
SETTLING = 20
"""Seconds after the start until the idle service is measured."""


class Arrivals:
    """When events arrived: by job, the first time of each stage and of each status."""

    def __init__(self, url: str) -> None:
        self.seen: dict[str, dict[str, float]] = defaultdict(dict)
        self.began = threading.Event()
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(url,), daemon=True).start()

    def _read(self, url: str) -> None:
        with (
            suppress(httpx.TransportError),  # the service ends
            httpx.stream("GET", f"{url}/v1/events", timeout=None) as response,
        ):
            for line in response.iter_lines():
                self.began.set()
                if line.startswith("data:"):
                    self._add(json.loads(line.removeprefix("data:")))

    def _add(self, event: dict[str, object]) -> None:
        now = time.perf_counter()
        progress = event.get("progress")
        what = progress["stage"] if isinstance(progress, dict) else event.get("status")
        with self._changed:
            self.seen[str(event.get("job_id"))].setdefault(str(what), now)
            self._changed.notify_all()

    def ended(self, job_id: str) -> dict[str, float]:
        """Wait for the end of a job, and return its times."""
        with self._changed:
            if not self._changed.wait_for(lambda: "succeeded" in self.seen[job_id], timeout=60):
                raise SystemExit(f"job {job_id} did not succeed: {self.seen[job_id]}")
        return self.seen[job_id]


def engine_seconds(generation_info: str) -> float:
    """Of the language model and on the device, from the text in a result."""
    found = dict(re.findall(r"(\w+) ([\d.]+) s", generation_info.partition("Time: ")[2]))
    return sum(float(seconds) for name, seconds in found.items() if name not in ELSEWHERE)


def measure(proxy: str, url: str, jobs: int) -> None:
    """Make the jobs and print the medians."""
    arrivals = Arrivals(url)
    arrivals.began.wait()
    submits, first, last, after = [], [], [], []
    with httpx.Client(base_url=url) as http:
        for number in range(jobs + 1):
            began = time.perf_counter()
            job_id = http.post("/v1/music/generate", json=SONG).json()["job_id"]
            submitted = time.perf_counter()
            times = arrivals.ended(job_id)
            if number == 0:
                continue  # what is loaded once is loaded
            submits.append(submitted - began)
            first.append(min(at for what, at in times.items() if what not in STATES) - began)
            last.append(times["succeeded"] - began)
            job = http.get(f"/v1/jobs/{job_id}").json()
            after.append(last[-1] - first[-1] - engine_seconds(job["result"]["generation_info"]))
            time.sleep(REPORT_EVERY)  # then progress is not held back
    for what, seconds, aim in (
        ("a submit", submits, ""),
        ("from the submit to the first progress", first, "under 60 ms"),
        ("from the end of the device's work to the end of the job (WAV)", after, "under 100 ms"),
        ("from the submit to the end", last, ""),
    ):
        median = f"{1e3 * statistics.median(seconds):.0f} ms"
        print(f"  {what}: {median}, worst {1e3 * max(seconds):.0f}")
        figure(f"{what}, {proxy}, median", median, aim=aim)


def main() -> None:
    """Print the figures for each proxy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--idle", type=float, default=30, help="seconds that the idle is measured")
    options = parser.parse_args()
    for proxy, variables in PROXIES.items():
        # The engines need the same time for each job, and more than progress is held back.
        environment = {**variables, "ACESTEP_MOCK__STEP_SECONDS": "0.1"}
        began = time.perf_counter()
        with service(environment) as (url, process):
            started = f"{time.perf_counter() - began:.1f} s"
            print(f"{proxy}: ready after {started}", flush=True)
            figure(f"from the start to ready, {proxy}", started, aim="at most 15 s")
            measure(proxy, url, options.jobs)
            time.sleep(SETTLING)
            cost(f"idle, {proxy}", process, options.idle, "under 3 % of a core and 1,300 MB")
        with service({**variables, **ENDLESS}) as (url, process):
            asyncio.run(crowd(proxy, url, process, options.idle))


def cost(what: str, process: psutil.Process, seconds: float, aim: str) -> None:
    """Print what the service costs meanwhile."""
    before = processor_seconds(process)
    time.sleep(seconds)
    share = (processor_seconds(process) - before) / seconds
    found = f"{100 * share:.1f} % of a core, {memory(process):,.0f} MB"
    print(f"  {what}: {found}; load {os.getloadavg()[0]:.1f}")
    figure(what, found, aim=aim)


async def crowd(proxy: str, url: str, process: psutil.Process, seconds: float) -> None:
    """Measure the cost while many jobs wait, and many clients."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as http:
        ids = []
        for _ in range(WAITING_JOBS):
            answer = await http.post("/v1/music/generate", json=SONG)
            ids.append(answer.raise_for_status().json()["job_id"])

        async def wait_for(job_id: str) -> None:
            while True:
                (await http.get(f"/v1/jobs/{job_id}", params={"wait": 30})).raise_for_status()

        polls = [asyncio.create_task(wait_for(job_id)) for job_id in ids[-LONG_POLLS:]]
        await asyncio.sleep(SETTLING)
        what = f"{WAITING_JOBS:,} jobs and {LONG_POLLS} long polls wait, {proxy}"
        await asyncio.to_thread(cost, what, process, seconds, "at most 15 % of a core")
        assert not any(poll.done() for poll in polls), "a long poll failed"
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)


if __name__ == "__main__":
    main()
