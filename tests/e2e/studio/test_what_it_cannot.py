"""What a service cannot do is said where it matters, and what it can do is offered."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Route, expect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.adapter_files import write_peft
from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process

BASE = {
    "model": "acestep-v15-base",
    "turbo": False,
    "mock": False,
    "tasks": ("text2music", "repaint", "cover", "lego"),
}


def test_a_base_model_has_guidance_more_steps_and_more_tasks(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, decoder=BASE) as service:
        studio = visit(service.url)
        page = studio.page
        page.get_by_text("Advanced:").click()
        expect(page.locator("#guidance_scale")).to_be_enabled()
        expect(page.locator("#inference_steps")).to_have_attribute("placeholder", "50")
        expect(page.locator("#guidance-hint")).to_be_hidden()
        studio.song("guided", 10, guidance_scale="4", batch_size="1")
        job = studio.jobs()[0]
        assert "Steps: 50, Scale: 4.0" in job["result"]["generation_info"]
        assert job["warnings"] == []
        studio.task("Add a track")
        expect(page.get_by_label("Track", exact=True)).to_be_visible()
        page.context.close()


def test_adapters_are_offered_by_a_service_that_has_some(
    studio: StudioPage, visit: OpenStudio, tmp_path: Path
) -> None:
    expect(studio.page.locator("#adapters")).to_be_hidden()
    write_peft(tmp_path / "styles" / "jazz")
    write_peft(tmp_path / "styles" / "two: voices")
    with one_process(data=tmp_path / "data", adapters=str(tmp_path / "styles")) as service:
        other = visit(service.url)
        page = other.page
        other.song("plain", 10, batch_size="1")
        other.song("in style", 10, batch_size="1", adapters="two: voices", adapter_scale="0.5")
        loaded = page.request.post(f"{service.url}/v1/lora/load", data={"lora_path": "jazz"})
        assert loaded.ok
        other.load()
        other.song("as usual", 10, batch_size="1", adapters="")
        expect(page.get_by_label("Style (adapter)")).to_contain_text("The service's: jazz")
        other.song("without", 10, batch_size="1", adapters="[]")
        made = {job["caption"]: job["result"]["generation_info"] for job in other.jobs()}
        assert "Adapters" not in made["plain"] + made["without"]
        assert "Adapters: two: voices (0.5)" in made["in style"]
        assert "Adapters: jazz (1)" in made["as usual"]
        page.context.close()


def test_a_service_without_a_language_model_says_so(studio: StudioPage) -> None:
    """No engines that can be configured are without one today; the page is told so here."""

    def without(route: Route) -> None:
        models: dict[str, Any] = route.fetch().json()
        route.fulfill(body=json.dumps({**models, "planners": []}), content_type="application/json")

    page = studio.page
    page.route("**/v1/models", without)
    studio.load()
    expect(page.locator("#lm-hint")).to_contain_text("has no language model")
    for label in ("Plan with the language model", "Describe it"):
        expect(page.get_by_label(label)).to_be_disabled()
    expect(page.get_by_role("button", name="Improve the text")).to_be_disabled()
    studio.song("unplanned", 10, batch_size="1")
    assert studio.jobs()[0]["result"]["metas"] == {}


def held_back(app: ASGIApp) -> ASGIApp:
    """A proxy that sends nothing of a response before it has all of it."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                for one in held:
                    await send(one)

        await app(scope, receive, hold)

    return proxy


def test_behind_a_proxy_that_holds_streams_back_songs_are_made_nevertheless(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, around=held_back, mock={"step_seconds": 1}) as service:
        studio = visit(service.url)
        page = studio.page
        expect(page.locator("#service-text")).to_contain_text("without live events", timeout=30_000)
        studio.fill(caption="asked for again and again", audio_duration="10")
        studio.create()
        expect(page.locator("#deck .stage")).to_have_text("Making the music")
        studio.until_takes("asked for again and again")
        page.context.close()
