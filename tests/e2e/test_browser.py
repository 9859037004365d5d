"""A real browser: which web pages can use the service, and what they can read and play."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page

from tests.browser import chromium, fetch, page_server, play, plays, post, post_form, submit_form
from tests.one_process import OneProcess, one_process
from tests.service import until

KEY = {"Authorization": "Bearer k"}
SONG: dict[str, Any] = {"prompt": "jazz", "audio_duration": 20, "batch_size": 1}
STUDIO = {
    "task_type": "text2music",
    "prompt": "jazz",
    "lyrics": "la la",
    "vocal_language": "en",
    "thinking": "true",
    "batch_size": "1",
    "inference_steps": "8",
    "guidance_scale": "7",
    "audio_duration": "15",
    "audio_cover_strength": "1",
}
"""What upstream's page sends, as text."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the pages are served: not by the service."""
    with page_server() as port:
        yield port


@pytest.fixture
def page(browser: Browser, port: int) -> Iterator[Page]:
    """A page of this machine."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        yield page


def methods(service: OneProcess) -> list[str]:
    return [one.method for one in service.seen]


def until_succeeded(page: Page, url: str, task_id: str, **headers: str) -> dict[str, Any]:
    """Poll as upstream's clients do; returns the first take."""

    def ended() -> Any:
        answer = post(page, f"{url}/query_result", {"task_id_list": [task_id]}, **headers)
        (state,) = answer.json["data"]
        assert state["status"] in (0, 1), state
        return state["status"] and json.loads(state["result"])

    take: dict[str, Any] = until(ended, "the task did not end")[0]
    return take


def test_a_page_makes_a_song_by_upstreams_api_with_a_key(page: Page, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="k") as service:
        refused = post(page, f"{service.url}/release_task", SONG)
        assert (refused.status, refused.json["code"]) == (401, "missing_api_key")
        answer = post(page, f"{service.url}/release_task", SONG, **KEY)
        task_id = answer.json["data"]["task_id"]
        take = until_succeeded(page, service.url, task_id, **KEY)
        assert "OPTIONS" in methods(service), "the browser asked before it sent a key"
        # An element of a page cannot send a key: the page has to fetch the file.
        assert play(page, service.url + take["file"]) == "NotSupportedError"
        page.reload()
        assert play(page, service.url + take["file"], headers=KEY) == ""
        until(lambda: plays(page), "the take did not play")


def test_a_page_makes_a_song_by_the_native_api_with_a_key(page: Page, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="k") as service:
        answer = post(page, f"{service.url}/v1/music/generate", SONG, **KEY)
        assert answer.status == 200 and answer.headers["location"].endswith(answer.json["job_id"])
        address = service.url + answer.headers["location"]

        def ended() -> Any:
            job = fetch(page, f"{address}?wait=20", headers=KEY).json
            assert job["status"] != "failed", job
            return job["status"] == "succeeded" and job

        path = until(ended, "the job did not end")["result"]["first_audio_path"]
        part = fetch(page, service.url + path, headers={**KEY, "Range": "bytes=0-99"})
        assert part.status == 206 and part.headers["content-range"].startswith("bytes 0-99/")
        assert play(page, service.url + path, headers=KEY) == ""
        until(lambda: plays(page), "the take did not play")
        assert fetch(page, address, method="DELETE", headers=KEY).status == 204
        assert fetch(page, address, headers=KEY).status == 410


def test_a_player_jumps_to_the_end_without_loading_all_before(page: Page, tmp_path: Path) -> None:
    with one_process(data=tmp_path) as service:
        long = {**SONG, "audio_duration": 120, "audio_format": "wav"}
        answer = post(page, f"{service.url}/release_task", long)
        take = until_succeeded(page, service.url, answer.json["data"]["task_id"])
        assert play(page, service.url + take["file"]) == ""
        until(lambda: plays(page), "the take did not play")
        page.evaluate("document.querySelector('audio').currentTime = 110")
        until(lambda: plays(page, after=110), "it did not play on at another place")
        loads = [one for one in service.seen if one.path == "/v1/audio"]
        assert {one.status for one in loads} <= {206, 304}, "only parts, or what it already had"
        ranges = [one.headers["range"] for one in loads if one.status == 206]
        starts = [int(part.removeprefix("bytes=").split("-")[0]) for part in ranges]
        assert starts[0] == 0 and max(starts) > 10_000_000


def test_a_page_reads_when_to_try_again(page: Page, tmp_path: Path) -> None:
    with one_process(data=tmp_path / "full", limits={"queue": 1}, mock={"step_seconds": 1}) as full:
        answers = [post(page, f"{full.url}/release_task", SONG)]
        while answers[-1].status == 200:
            assert len(answers) < 20, "the queue has no end"
            answers.append(post(page, f"{full.url}/v1/music/generate", SONG))
        assert answers[-1].status == 429 and int(answers[-1].headers["retry-after"]) > 0
        for job in fetch(page, f"{full.url}/v1/jobs").json["jobs"]:
            cancelled = post(page, f"{full.url}/v1/jobs/{job['job_id']}/cancel", {})
            assert cancelled.status == 200
    with one_process(data=tmp_path / "new", engines=False) as new:
        for path in ("/release_task", "/v1/music/generate"):
            answer = post(page, new.url + path, SONG)
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0


def test_a_page_of_another_host_can_read_nothing(page: Page, port: int, tmp_path: Path) -> None:
    with one_process(data=tmp_path) as service:
        answer = post(page, f"{service.url}/release_task", SONG)
        take = until_succeeded(page, service.url, answer.json["data"]["task_id"])["file"]
        for host in ("evil.example", "localhost.example", "127.0.0.1.example"):
            page.goto(f"http://{host}:{port}/")
            nothing_can_be_read(page, service, ["/health", "/v1/models", "/v1/jobs", take])
            assert play(page, service.url + take) == "NotSupportedError"
            assert service.seen[-1].headers["origin"] == f"http://{host}:{port}"
            nothing_can_be_sent(page, service)


def nothing_can_be_read(page: Page | Frame, service: OneProcess, paths: Sequence[str]) -> None:
    for path in paths:
        assert fetch(page, service.url + path).error == "TypeError"
        hidden = fetch(page, service.url + path, mode="no-cors")
        assert (hidden.error, hidden.type, hidden.status, hidden.text) == ("", "opaque", 0, "")


def nothing_can_be_sent(page: Page | Frame, service: OneProcess) -> None:
    """JSON, a key and DELETE: the browser asks first. Text and forms it sends: they are refused."""
    before = len(service.seen)
    paths = ("/release_task", "/query_result", "/v1/music/generate", "/api/release_task")
    for path in paths:
        assert post(page, service.url + path, SONG, **KEY).error == "TypeError"
    assert fetch(page, f"{service.url}/v1/jobs/x", method="DELETE").error == "TypeError"
    # The browser's questions have arrived, and none of the requests.
    arrived = [(one.method, one.status) for one in service.seen[before:]]
    assert arrived == [("OPTIONS", 403)] * (len(paths) + 1)
    before = len(service.seen)
    for path in paths:
        text = json.dumps(SONG)
        assert fetch(page, service.url + path, method="POST", mode="no-cors", body=text).text == ""
    submit_form(page, f"{service.url}/release_task")
    until(lambda: len(service.seen) > before + len(paths), "the form did not arrive")
    arrived = [(one.method, one.status) for one in service.seen[before:]]
    assert arrived == [("POST", 403)] * (len(paths) + 1)


def test_a_page_without_an_origin_works_only_where_it_is_allowed(
    page: Page, tmp_path: Path
) -> None:
    """A file from the disk; and the frame in which any page can hide its origin."""
    page.set_content('<iframe sandbox="allow-scripts" srcdoc="hidden"></iframe>')
    with one_process(data=tmp_path / "default") as service:
        nothing_can_be_read(page.frames[1], service, ["/health"])
        page.goto(studio(tmp_path))
        nothing_can_be_read(page, service, ["/health"])
        nothing_can_be_sent(page, service)
        assert {one.headers.get("origin") for one in service.seen} == {"null", None}
    with one_process(data=tmp_path / "allowed", cors_origins="loopback,null") as service:
        url = f"{service.url}/release_task"
        refused = post_form(page, url, {**STUDIO, "task_type": "lega"})
        assert refused.status == 422 and "task_type" in refused.json["error"]
        answer = post_form(page, url, STUDIO)
        assert (answer.status, answer.json["code"]) == (200, 200)
        take = until_succeeded(page, service.url, answer.json["data"]["task_id"])
        assert play(page, service.url + take["file"]) == ""
        until(lambda: plays(page), "the take did not play")


def studio(folder: Path) -> str:
    """The address of a page on the disk."""
    file = folder / "studio.html"
    file.write_text("<!doctype html><title>a page on the disk</title>")
    return file.as_uri()
