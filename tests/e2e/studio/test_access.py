"""The Studio for everybody: by keyboard, with a screen reader, on a phone, light and dark, without
motion."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import DESKTOP, PHONE, StudioPage
from tests.one_process import OneProcess
from tests.service import until

LONG = "夜雨中的旧城 أغنية طويلة جدا " * 8 + "🎻🎺" * 10


def serious(studio: StudioPage) -> list[str]:
    """What axe finds that is serious or worse, with the elements."""
    found: list[dict[str, Any]] = Axe().run(studio.page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious_in_any_state(
    visit: OpenStudio, mock: OneProcess, size: dict[str, int], scheme: str
) -> None:
    # Without motion, so that nothing is looked at while it appears.
    studio = visit(mock.url, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page = studio.page

    def view(name: str) -> None:
        if size == PHONE:
            page.get_by_role("navigation").get_by_role("button", name=name).click()

    expect(page.locator("#service-text")).to_contain_text("Mock engines")
    states: dict[str, list[str]] = {"empty": serious(studio)}
    page.get_by_role("radio", name="Describe it").check()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    states["describe, everything open"] = serious(studio)
    page.get_by_role("radio", name="Write it").check()
    studio.fill(caption=LONG, bpm="5")
    studio.create()
    expect(page.locator("#bpm-error")).to_be_visible()
    states["error"] = serious(studio)
    studio.fill(bpm="", inference_steps="150", audio_duration="10")
    studio.create()
    expect(page.locator("#deck .waiting")).to_be_visible()
    states["waiting"] = serious(studio)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#deck .notice")).to_be_visible()
    states["cancelled"] = serious(studio)
    view("Write")
    studio.fill(inference_steps="")
    studio.create()
    studio.until_drawn()
    page.locator("#listen").focus()
    page.keyboard.press("k")
    studio.until_plays()
    page.keyboard.press("]")
    states["playing, a part marked"] = serious(studio)
    page.keyboard.press("?")
    states["shortcuts"] = serious(studio)
    page.keyboard.press("Escape")
    studio.lane(1).locator("[data-act=brush]").click()
    expect(page.get_by_role("slider", name="End of the part")).to_be_visible()
    states["repaint"] = serious(studio)
    page.get_by_role("button", name="Mock engines").click()
    states["about"] = serious(studio)
    page.keyboard.press("Escape")
    view("Songs")
    page.get_by_role("radio", name="All here").check()
    states["songs"] = serious(studio)
    assert {name: found for name, found in states.items() if found} == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "it has to be moved sideways"
    )


def test_the_first_song_by_keyboard_alone(studio: StudioPage) -> None:
    page, keyboard = studio.page, studio.page.keyboard
    focus = "document.activeElement.id || document.activeElement.textContent.trim()"

    def tab_to(name: str) -> None:
        for _ in range(60):
            keyboard.press("Tab")
            if page.evaluate(focus) == name:
                return
        raise AssertionError(f"{name} cannot be reached")

    keyboard.press("Tab")
    assert page.evaluate(focus) == "Skip to the song"
    keyboard.press("Enter")
    keyboard.type("gentle guitar")
    tab_to("Intro")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    keyboard.type("Hello world")
    tab_to("audio_duration")
    keyboard.type("15")
    tab_to("create")
    keyboard.press("Enter")
    studio.until_takes("gentle guitar")
    keyboard.press("Space")
    studio.until_plays()
    keyboard.press("2")
    expect(page.locator("#now-take")).to_have_text("Take 2")
    keyboard.press("ArrowUp")
    expect(page.locator("#now-take")).to_have_text("Take 1")
    at = studio.position
    keyboard.press("ArrowRight")
    until(lambda: studio.position > at + 4, "it did not go ahead")
    keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    keyboard.press("Home")
    assert studio.position == 0
    assert page.locator("#lyrics").input_value() == "[Verse]\nHello world"


def test_ctrl_enter_leaves_the_cursor_and_escape_leads_to_the_song(studio: StudioPage) -> None:
    """Whoever goes on writing is not interrupted; whoever wants to hear it presses Escape."""
    page = studio.page
    studio.fill(audio_duration="20", batch_size="1")
    page.locator("#caption").fill("from the keys")
    page.locator("#caption").press("ControlOrMeta+Enter")
    expect(page.locator("#deck")).to_contain_text("Esc leads here")
    expect(page.locator("#caption")).to_be_focused()
    page.keyboard.type(" and more")
    expect(page.locator("#caption")).to_have_value("from the keys and more")
    studio.until_takes("from the keys")
    expect(page.locator("#announcer")).to_contain_text("ready: from the keys. Escape leads to it.")
    expect(page.locator("#caption")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    studio.until_plays()
    page.locator("#caption").focus()
    assert page.locator("#caption").input_value() == "from the keys and more"


def test_shortcuts_do_not_take_letters_from_fields_and_can_be_switched_off(
    studio: StudioPage,
) -> None:
    studio.song("loop me", 10, batch_size="1")
    page = studio.page
    page.locator("#caption").fill("")
    page.locator("#caption").press_sequentially("kl2? /")
    assert page.locator("#caption").input_value() == "kl2? /"
    loop = page.locator("#loop")
    assert loop.get_attribute("aria-pressed") == "false"
    page.locator("#listen").focus()
    page.keyboard.press("l")
    expect(loop).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.locator("#listen").focus()
    page.keyboard.press("l")
    expect(loop).to_have_attribute("aria-pressed", "true")


def test_stages_are_read_to_users_of_screen_readers(studio: StudioPage) -> None:
    page = studio.page
    page.evaluate("""() => {
        window.said = [];
        const announcer = document.querySelector("#announcer");
        const hear = () => window.said.push(announcer.textContent);
        new MutationObserver(hear).observe(announcer, {childList: true});
    }""")
    studio.song("read aloud", 10)
    said = page.evaluate("window.said")
    assert "Making the music" in said and "2 takes ready: read aloud" in said
    assert not any("%" in text for text in said), "not every step"
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"


def test_nothing_moves_for_those_who_want_that(visit: OpenStudio, mock: OneProcess) -> None:
    studio = visit(mock.url, reduced_motion="reduce")
    studio.fill(caption="still", inference_steps="100", audio_duration="10")
    studio.create()
    expect(studio.page.locator("#deck .waiting")).to_be_visible()
    moving = studio.page.evaluate("document.getAnimations().length")
    assert moving == 0
    studio.page.get_by_role("button", name="Cancel").click()
    expect(studio.page.locator("#deck .notice")).to_be_visible()


def test_the_theme_is_the_systems_until_another_is_chosen(
    visit: OpenStudio, mock: OneProcess
) -> None:
    studio = visit(mock.url, color_scheme="dark")
    page = studio.page
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Theme: as the system").click()
    light = page.evaluate(background)
    assert light != dark
    studio.load()
    assert page.evaluate(background) == light
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(background) == dark
