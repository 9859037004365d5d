"""The service cannot be reached, or answers with half of what it should."""

import re
from collections.abc import Callable
from pathlib import Path

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


def test_half_a_list_is_said_and_read_again(studio: StudioPage) -> None:
    page = studio.page
    cut = 1

    def half(route: Route) -> None:
        nonlocal cut
        if not cut:
            route.continue_()
            return
        cut -= 1
        route.fulfill(status=200, content_type="application/json", body='{"jobs": [{"job_')

    page.get_by_role("radio", name="All here").check()
    page.route("**/v1/jobs?limit=100*", half)
    studio.load()
    expect(page.locator("#songs-end")).to_contain_text("The answer of the service broke off.")
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
