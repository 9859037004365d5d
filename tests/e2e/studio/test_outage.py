"""The service cannot be reached, or answers with half of what it should."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.restarted_service import restarted_service
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process
from tests.service import until


def test_a_song_waits_for_the_service_and_counts_nothing_down(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with restarted_service(tmp_path, step_seconds=0.4) as service:
        studio = visit(service.url)
        page = studio.page
        studio.fill(caption="through an outage", audio_duration="10", inference_steps="20")
        studio.create()
        stage, detail = page.locator("#deck .stage"), page.locator("#deck .detail")
        expect(detail).to_contain_text("left")
        service.kill()
        expect(stage).to_have_text("Waiting for the service to come back")
        expect(detail).to_contain_text("The song is not lost")
        expect(detail).not_to_contain_text(re.compile("left|%"))
        row = page.locator("#song-list .song", has_text="through an outage")
        expect(row).to_contain_text("waiting for the service")
        expect(page).to_have_title("… · Studio")
        service.start()
        expect(stage).to_have_text("Making the music", timeout=60_000)
        studio.until_takes("through an outage")
        page.context.close()


def cut_once(path: str, body: bytes, sent: list[str]) -> Callable[[ASGIApp], ASGIApp]:
    """The service, whose first answer on ``path`` is only ``body``; ``sent``: the keys of the
    requests there."""

    def around(app: ASGIApp) -> ASGIApp:
        async def cutting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") != path:
                await app(scope, receive, send)
                return
            sent.append(dict(scope["headers"]).get(b"idempotency-key", b"").decode())
            if len(sent) > 1:
                await app(scope, receive, send)
                return

            async def cut(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = [one for one in message["headers"] if one[0] != b"content-length"]
                    await send({**message, "headers": headers})
                elif not message.get("more_body"):
                    await send({**message, "body": body})

            await app(scope, receive, cut)

        return cutting

    return around


def test_half_an_answer_to_a_song_makes_it_once(visit: OpenStudio, tmp_path: Path) -> None:
    sent: list[str] = []
    around = cut_once("/v1/music/generate", b'{"job_id": "550e', sent)
    with one_process(data=tmp_path, around=around) as service:
        studio = visit(service.url)
        studio.song("once", 10, batch_size="1")
        assert len(sent) == 2 and sent[0] == sent[1] != ""
        assert len(studio.jobs()) == 1
        studio.page.context.close()


NOT_READY = '{"code": "not_ready", "detail": "The engines are starting.", "status": 503}'
AWAY = [
    (404, "text/plain", "Path '/v1/music/generate' not found."),
    (502, "text/html", "<h1>Bad Gateway</h1>"),
    (503, "application/problem+json", NOT_READY),
]


@pytest.mark.parametrize(("status", "kind", "body"), AWAY, ids=["serve", "proxy", "not ready"])
def test_a_song_is_sent_again_until_the_service_itself_accepts_it(
    studio: StudioPage, status: int, kind: str, body: str
) -> None:
    page = studio.page
    keys: list[str | None] = []

    def submit(route: Route) -> None:
        keys.append(route.request.header_value("idempotency-key"))
        if len(keys) > 2:
            route.continue_()
        else:
            route.fulfill(status=status, content_type=kind, body=body)

    before = len(studio.jobs())
    page.route("**/v1/music/generate", submit)
    studio.fill(caption=f"through {status}", audio_duration="10", batch_size="1")
    studio.create()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("trying again", re.I))
    studio.until_takes(f"through {status}")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(keys) == 3 and len(set(keys)) == 1 and keys[0]
    assert len(studio.jobs()) == before + 1


def test_a_song_that_was_stopped_or_refused_for_now_keeps_its_key_and_a_changed_one_does_not(
    studio: StudioPage,
) -> None:
    page = studio.page
    full = '{"code": "queue_full", "detail": "The queue is full.", "status": 429}'
    answers = [(503, NOT_READY), (429, full), (429, full)]
    keys: list[str | None] = []

    def submit(route: Route) -> None:
        keys.append(route.request.header_value("idempotency-key"))
        if len(keys) > len(answers):
            route.continue_()
            return
        status, body = answers[len(keys) - 1]
        kind = "application/problem+json"
        # Of the 503 it is the pause: there is time to stop it, however slow the machine is.
        pause = {"Retry-After": "30" if status == 503 else "0"}
        route.fulfill(status=status, content_type=kind, body=body, headers=pause)

    page.route("**/v1/music/generate", submit)
    studio.fill(caption="patient once", audio_duration="10", batch_size="1")
    studio.create()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The engines are starting. Trying again.")
    alert.get_by_role("button", name="Stop").click()
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_contain_text("The queue is full.")
    studio.fill(caption="changed")
    # Playwright calls ``submit`` only while the test waits for the page.
    with page.expect_response("**/v1/music/generate"):
        alert.get_by_role("button", name="Try again").click()
    assert len(keys) == 3
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()
    alert.get_by_role("button", name="Try again").click()
    studio.until_takes("changed")
    assert keys[0] == keys[1] != keys[2] == keys[3]
    studio.song("changed", 10, batch_size="1")
    assert keys[4] != keys[3], "the same again is another song"


def test_a_song_that_cannot_be_deleted_now_stays_in_the_list(studio: StudioPage) -> None:
    """Serve's proxy answers with 404 for any song while the service starts."""
    page = studio.page
    studio.song("still there", 10, batch_size="1")

    def away(route: Route) -> None:
        if route.request.method == "DELETE":
            route.fulfill(status=404, content_type="text/plain", body="Path not found.")
        else:
            route.continue_()

    page.route("**/v1/jobs/*", away)
    page.locator("#deck").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("it may be starting")
    expect(page.locator("#song-list")).to_contain_text("still there")


def test_half_a_list_is_said_and_read_again(studio: StudioPage) -> None:
    page = studio.page
    broken = True

    def half(route: Route) -> None:
        if broken:
            body = '{"jobs": [{"job_'
            route.fulfill(status=200, content_type="application/json", body=body)
        else:
            route.continue_()

    page.get_by_role("radio", name="All here").check()
    page.route("**/v1/jobs?limit=100*", half)
    studio.load()
    expect(page.locator("#songs-end")).to_contain_text("The answer of the service broke off.")
    broken = False
    page.locator("#songs-end").get_by_role("button", name="Try again").click()
    expect(page.locator("#songs-end")).not_to_contain_text("broke off")


def test_a_take_that_breaks_off_can_be_fetched_again(studio: StudioPage) -> None:
    page = studio.page
    broken = True

    def audio(route: Route) -> None:
        if broken:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/v1/audio/**", audio)
    studio.fill(caption="in pieces", audio_duration="10", batch_size="1")
    studio.create()
    lane = studio.lane(1)
    expect(lane.locator(".note")).to_contain_text("could not be fetched")
    broken = False
    lane.get_by_role("button", name="Try again").click()
    studio.until_takes("in pieces")


def test_a_full_queue_counts_down_and_takes_the_song_later(studio: StudioPage) -> None:
    page = studio.page
    full = True

    def submit(route: Route) -> None:
        if not full:
            route.continue_()
            return
        problem = '{"code": "queue_full", "detail": "The queue is full.", "status": 429}'
        route.fulfill(
            status=429,
            headers={"Retry-After": "2", "Content-Type": "application/problem+json"},
            body=problem,
        )

    page.route("**/v1/music/generate", submit)
    studio.fill(caption="patient", audio_duration="10", batch_size="1")
    studio.create()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The queue is full.")
    again = alert.get_by_role("button", name="Try again")
    expect(again).to_have_text("Try again")
    full = False
    again.click()
    studio.until_takes("patient")
    expect(alert).to_be_hidden()


def test_what_fails_from_a_take_is_not_said_at_the_fields_of_another_song(
    studio: StudioPage,
) -> None:
    page = studio.page
    studio.song("like this", 10, batch_size="1")
    problem = (
        '{"code": "invalid_value", "detail": "bpm must be less.", "status": 422, '
        '"errors": [{"field": "bpm", "detail": "bpm must be less."}]}'
    )
    page.route(
        "**/v1/music/generate",
        lambda route: route.fulfill(
            status=422, content_type="application/problem+json", body=problem
        ),
    )
    studio.lane(1).get_by_role("button", name="More like this").click()
    expect(page.locator("#toasts")).to_contain_text("bpm must be less.")
    assert page.locator("#bpm-error").count() == 0
    page.locator("#toasts").get_by_role("button", name="Dismiss").click()
    until(lambda: page.locator("#toasts .toast").count() == 0, "it stays")
