"""Clients that disconnect at any moment, beside others that continue."""

import random
import socket
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Event

import httpx

from acestep_ray.startup.log_filter import ROUTINE
from tests.service import Service, until

CUT = 200
OTHERS = 50
LONGEST = 0.1
"""Seconds: most responses come sooner, so requests are cut at every moment before them."""
TOLD_WITHIN = 200
"""Requests that one client makes, one after the other, before another one must have received a
change: ten times the usual number."""

LONG = {"audio_duration": 600, "inference_steps": 200, "batch_size": 1}
READS = ["/ready", "/v1/models", "/v1/stats", "/v1/jobs?limit=5", "/docs"]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def post(kind: str, body: bytes, length: int) -> bytes:
    head = f"Host: test\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return f"POST /v1/music/generate HTTP/1.1\r\n{head}".encode() + body


def requests(ids: list[str], take: str) -> list[bytes]:
    """One of each kind: reads, polls, a submit, an incomplete upload, a download."""
    song = b'{"audio_duration": 1, "batch_size": 1}'
    part = b'--b\r\nContent-Disposition: form-data; name="src_audio"; filename="a.wav"\r\n\r\nRIFF'
    polls = [get(f"/v1/jobs/{job_id}?wait=60") for job_id in ids[:10]]
    return [
        *(get(path) for path in READS),
        *polls,
        get(f"/v1/jobs/{ids[0]}"),
        get(take),
        post("application/json", song, len(song)),
        post("multipart/form-data; boundary=b", part, 100_000),
    ]


def hang_up(service: Service, request: bytes, seconds: float, reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(request)
        Event().wait(seconds)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def read_on(service: Service, stop: Event) -> int:
    """Make read requests until stopped; return how many."""
    with httpx.Client(base_url=service.url, timeout=120) as http:
        for number in count():
            if stop.is_set():
                return number
            answer = http.get(READS[number % len(READS)])
            assert answer.status_code == 200, answer.text
    raise AssertionError


def wait_for_the_end(service: Service, job_id: str) -> str:
    """Poll until the job has ended, and return how; each poll must receive the change."""
    with httpx.Client(base_url=service.url, timeout=120) as http:
        while True:
            answer = http.get(f"/v1/jobs/{job_id}", params={"wait": 60}).raise_for_status()
            assert answer.elapsed.total_seconds() < 60, "a poll got no response"
            job = answer.json()
            if job["status"] in ("succeeded", "failed"):
                return str(job.get("error_code") or job["status"])


def test_others_go_on_as_if_nothing_was(service: Service) -> None:
    """What would break for whom: when a poll that came first was disconnected, the responses that
    all others waited for were lost. Some got a 500, the rest received the change a second late."""
    log_before = service.log.stat().st_size
    chance = random.Random(1)
    take = service.make(audio_duration=10, batch_size=1)["result"]["first_audio_path"]
    ids = [service.submit(**LONG) for _ in range(OTHERS)]
    kinds = requests(ids, take)
    stop = Event()
    with ThreadPoolExecutor(OTHERS + 3) as others, ThreadPoolExecutor(8) as gone:
        # The very first poll, whose call the others share, is one of those that are cut.
        gone.submit(hang_up, service, get(f"/v1/jobs/{ids[0]}?wait=60"), 1, True)
        polls = [others.submit(wait_for_the_end, service, job_id) for job_id in ids]
        readers = [others.submit(read_on, service, stop) for _ in range(2)]
        cuts: list[Future[None]] = []
        try:
            for number in range(CUT):
                request, seconds = chance.choice(kinds), chance.uniform(0, LONGEST)
                cuts.append(gone.submit(hang_up, service, request, seconds, number % 2 == 0))
            for job_id in ids:
                answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
                assert answer.status_code in (200, 409), answer.text  # 409: it has succeeded
            for cut in cuts:
                cut.result()
            for _ in range(TOLD_WITHIN):
                service.http.get("/v1/stats").raise_for_status()
                if all(poll.done() for poll in polls):
                    break
            assert [poll for poll in polls if not poll.done()] == [], "a response came late"
        finally:
            stop.set()
            for job_id in ids:
                service.http.post(f"/v1/jobs/{job_id}/cancel")
        ends = {poll.result() for poll in polls}
        # On a busy machine the first may have succeeded before they are cancelled.
        assert {"cancelled"} <= ends <= {"cancelled", "succeeded"}
        assert all(reader.result() for reader in readers)
    until(lambda: service.http.get("/v1/stats").json()["running"] == 0, "engines still run")
    with service.log.open() as log:
        log.seek(log_before)
        shown = [line for line in log if "Ingress" in line and not ROUTINE.search(line)]
    assert shown == []
