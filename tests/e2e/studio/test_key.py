"""Behind an API key, and below a base path."""

from pathlib import Path

import pytest
from playwright.sync_api import expect
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.restarted_service import restarted_service
from tests.one_process import one_process


def test_a_wrong_key_a_right_key_and_a_song(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="s3cret") as service:
        studio = visit(service.url)
        page = studio.page
        dialog = page.get_by_role("dialog", name="API key")
        field = dialog.get_by_label("API key", exact=True)
        field.press("Enter")
        expect(field).to_have_accessible_description("Enter the key.")
        expect(field).to_be_focused()
        field.fill("guess")
        field.press("Enter")
        expect(field).to_have_accessible_description("The service does not accept this key.")
        field.fill("s3cret")
        dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_have_count(0)
        expect(page.locator("#service-text")).to_contain_text("Mock engines")
        studio.fill(caption="locked away", audio_duration="10", batch_size="1")
        studio.create()
        studio.until_takes("locked away")
        page.get_by_role("button", name="Play", exact=True).click()
        studio.until_plays()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download Take 1").click()
        assert Path(download.value.path()).stat().st_size > 10_000
        assert download.value.suggested_filename == "locked-away-1.mp3"
        # It was not kept: another visit of the same browser has to know it again.
        assert "s3cret" not in page.evaluate("JSON.stringify(localStorage)")
        another = studio.tab()
        expect(another.page.get_by_role("dialog", name="API key")).to_be_visible()
        state = another.page.locator("#song-list .song", has_text="locked away").locator(
            ".song-state"
        )
        expect(state).to_have_text("locked")
        dialog = another.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("API key", exact=True).fill("s3cret")
        dialog.get_by_role("button", name="Use it").click()
        expect(state).to_have_text("1 take")
        page.context.close()


def test_whoever_closes_the_question_for_the_key_is_asked_again(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, api_key="s3cret") as service:
        studio = visit(service.url)
        page = studio.page
        dialog = page.get_by_role("dialog", name="API key")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(page.locator("#songs-end")).to_contain_text("This service needs an API key.")
        expect(page.locator("body")).not_to_contain_text("Authorization")
        for button in page.get_by_role("button", name="Enter the key").all():
            button.click()
            expect(dialog).to_be_visible()
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
        assert page.locator("#key-button").is_visible()
        studio.fill(caption="sent after the key", audio_duration="10", batch_size="1")
        studio.create()
        expect(page.get_by_role("alert")).to_contain_text("This service needs an API key.")
        dialog.get_by_label("API key", exact=True).fill("s3cret")
        dialog.get_by_role("button", name="Use it").click()
        # What was meant to be made is made, without another click.
        studio.until_takes("sent after the key")
        assert (
            page.request.get(
                f"{service.url}/v1/stats", headers={"Authorization": "Bearer s3cret"}
            ).json()["succeeded"]
            == 1
        )
        page.context.close()


def test_a_key_that_one_tab_keeps_opens_the_others(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="s3cret") as service:
        studio = visit(service.url)
        other = studio.tab()
        expect(other.page.get_by_role("dialog", name="API key")).to_be_visible()
        dialog = studio.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("API key", exact=True).fill("s3cret")
        dialog.get_by_role("checkbox", name="Keep it in this browser").check()
        dialog.get_by_role("button", name="Use it").click()
        expect(other.page.locator("#service-text")).to_contain_text("Mock engines")
        expect(other.page.get_by_role("dialog")).to_have_count(0)
        studio.page.context.close()


def test_a_song_from_before_the_service_had_a_key(visit: OpenStudio, tmp_path: Path) -> None:
    """It belongs to no key, so the stream of the key's jobs does not have it."""
    with restarted_service(tmp_path, step_seconds=0.4) as service:
        studio = visit(service.url)
        page = studio.page
        studio.fill(caption="older than the key", audio_duration="10", inference_steps="20")
        studio.create()
        expect(page.locator("#deck .stage")).to_have_text("Making the music")
        service.kill()
        service.start(api_key="s3cret")
        dialog = page.get_by_role("dialog", name="API key")
        expect(dialog).to_be_visible(timeout=60_000)
        dialog.get_by_label("API key", exact=True).fill("s3cret")
        dialog.get_by_role("button", name="Use it").click()
        studio.until_takes("older than the key")
        page.context.close()


def test_a_key_is_kept_if_its_owner_says_so(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="s3cret") as service:
        studio = visit(service.url)
        dialog = studio.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("API key", exact=True).fill("s3cret")
        dialog.get_by_role("checkbox", name="Keep it in this browser").check()
        dialog.get_by_role("button", name="Use it").click()
        expect(studio.page.locator("#service-text")).to_contain_text("Mock engines")
        another = studio.tab()
        expect(another.page.locator("#service-text")).to_contain_text("Mock engines")
        assert another.page.get_by_role("dialog").count() == 0
        # And it is forgotten again.
        another.page.get_by_role("button", name="API key").click()
        dialog = another.page.get_by_role("dialog", name="API key")
        dialog.get_by_role("checkbox", name="Keep it in this browser").uncheck()
        dialog.get_by_role("button", name="Use it").click()
        expect(another.page.get_by_role("dialog")).to_have_count(0)
        assert "s3cret" not in another.page.evaluate("JSON.stringify(localStorage)")
        studio.page.context.close()


def behind_a_proxy(app: ASGIApp) -> ASGIApp:
    """A proxy that has the service under /deep/music, and removes that."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix("/deep/music")
        await app({**scope, "path": path or "/", "raw_path": path.encode()}, receive, send)

    return proxy


def below_a_route_prefix(app: ASGIApp) -> ASGIApp:
    """As Serve does it with its route_prefix."""

    async def prefixed(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": "/music"}, receive, send)

    return prefixed


@pytest.mark.parametrize(
    ("around", "base"),
    [(behind_a_proxy, "/deep/music"), (below_a_route_prefix, "/music"), (lambda app: app, "/api")],
    ids=["proxy", "route prefix", "api"],
)
def test_below_a_base_path(
    visit: OpenStudio, tmp_path: Path, around: type[ASGIApp], base: str
) -> None:
    with one_process(data=tmp_path, around=around) as service:
        studio = visit(service.url + base)
        studio.song("from below", 10, batch_size="1")
        studio.page.get_by_role("button", name="Play", exact=True).click()
        studio.until_plays()
        outside = [one.path for one in service.seen if not one.path.startswith(f"{base}/")]
        assert outside == [], "nothing was asked for beside the base path"
        studio.page.context.close()


def test_takes_are_beside_the_page_whatever_the_public_address_is(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, public_url="https://music.example/x") as service:
        studio = visit(service.url)
        studio.song("at home", 10, batch_size="1")
        studio.page.context.close()
