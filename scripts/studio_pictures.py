"""Take pictures of the Studio in each state, on a desktop and a phone, light and dark.

They are for the eye of whoever changes the page. The README and docs/studio.md show some of them:

    python -m scripts.studio_pictures FOLDER [--docs docs/images]

The page uses the fonts that the system has; those that were used for the documents are in Debian's
packages fonts-inter, fonts-noto-cjk and fonts-noto-color-emoji.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.e2e.studio.studio_page import DESKTOP, PHONE, StudioPage
from tests.one_process import one_process
from tests.service import until

LYRICS = """[Verse]
The kiosk man is counting up his change
The street lamps make the puddles look like gold

[Chorus]
Last tram, don't you hurry, we have nowhere else to be
Every stop is like a window that you open up for me"""
CAPTION = "Bright indie pop, jangling guitars, bouncing bass, hand claps, a young voice close by"
EARLIER = (
    "Slow piano ballad with warm strings, a low female voice",
    "夜雨中的旧城，二胡与钢琴，安静的女声，缓慢而温暖的旋律，像一封没有寄出的信",
    "أغنية هادئة عن البحر والقمر مع العود والكمان وصوت دافئ",
    "🎺🔥 brass party, funk, slap bass, everybody claps 💃🕺",
    "Lo-fi hip hop, dusty drums, vinyl crackle, rain outside",
)
IN_DOCS = {
    "desktop-dark-playing": "studio.png",
    "desktop-light-repaint": "studio-repaint.png",
    "phone-dark-playing": "studio-phone.png",
    "phone-light-songs-with-a-repaint": "studio-phone-songs.png",
}
COLOURS = 128
"""Colours of a picture in the documents, which keeps it small."""

Shot = Callable[[str], None]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=Path, help="also write the pictures of the documents there")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        mock = {"step_seconds": 0.25}
        with one_process(data=Path(data), mock=mock) as service, chromium() as browser:
            for size in (DESKTOP, PHONE):
                for scheme in ("dark", "light"):
                    take_pictures(browser, service.url, size, scheme, arguments.folder)
                locked(browser, size, arguments.folder, Path(data) / "locked")
    for name, copy in IN_DOCS.items() if arguments.docs else ():
        picture = Image.open(arguments.folder / f"{name}.png").convert("RGB")
        small = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
        small.save(arguments.docs / copy, optimize=True)


def take_pictures(
    browser: Browser, url: str, size: dict[str, int], scheme: str, folder: Path
) -> None:
    """Every state, for a new visitor."""
    phone = size == PHONE
    name = "phone" if phone else "desktop"
    scale = 2 if phone else 1.5
    options = {"viewport": size, "color_scheme": scheme, "device_scale_factor": scale}
    studio = StudioPage.open(browser, url, locale="en-GB", has_touch=phone, **options)

    def shot(state: str) -> None:
        studio.page.mouse.move(0, 0)
        studio.page.wait_for_timeout(400)  # for what fades in
        studio.page.screenshot(path=folder / f"{name}-{scheme}-{state}.png")

    def view(part: str) -> None:
        if phone:
            studio.page.locator(f".views [data-view={part}]").click()

    studio.page.get_by_text("Mock engines", exact=True).wait_for()
    shot("empty")
    view("listen")
    shot("nothing-to-hear")
    view("write")
    for title in EARLIER:
        studio.song(title, 12)
        view("write")
    a_first_song(studio, shot, view)
    playing_and_repainting(studio, shot, view)
    what_became_of_it(studio, shot, view)
    filled_in(studio, shot, view)
    studio.page.context.close()
    if studio.errors:
        raise SystemExit("\n".join(studio.errors))


def a_first_song(studio: StudioPage, shot: Shot, view: Shot) -> None:
    """An error at its field, and a song that is being made."""
    studio.fill(caption=CAPTION, lyrics=LYRICS, bpm="5", audio_duration="60")
    studio.create()
    studio.page.locator("#bpm-error").wait_for()
    shot("error")
    studio.fill(bpm="118", key_scale="G major", time_signature="4", batch_size="3")
    studio.page.evaluate("document.querySelector('#advanced').open = false")
    studio.page.evaluate("document.querySelector('#write .scroll').scrollTop = 0")
    studio.create()
    bar = studio.page.locator("#deck [role=progressbar]")
    until(lambda: int(bar.get_attribute("aria-valuenow") or 0) > 50, "there is no progress")
    shot("waiting")
    studio.until_takes(CAPTION)


def playing_and_repainting(studio: StudioPage, shot: Shot, view: Shot) -> None:
    """A song that plays; one with a long title; the form with a part that is marked."""
    page = studio.page
    page.locator("#listen").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "["):
        page.keyboard.press(key)
    for key in ("ArrowRight", "ArrowRight", "]", "2", "k"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Like Take 2").click()
    studio.until_plays()
    shot("playing")
    page.keyboard.press("k")
    view("songs")
    shot("songs")
    page.locator("#song-list .song-open").nth(3).click()
    studio.until_drawn()
    shot("long-title")
    view("songs")
    page.locator("#song-list .song-open").first.click()
    studio.until_takes(CAPTION)
    page.locator("#listen").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "[", "ArrowRight", "ArrowRight", "]"):
        page.keyboard.press(key)
    studio.lane(1).locator("[data-act=brush]").click()
    page.get_by_role("slider", name="End of the part").wait_for()
    shot("message")
    for toast in page.locator("#toasts").get_by_role("button", name="Dismiss").all():
        toast.click()
    page.evaluate("document.querySelector('#source').scrollIntoView()")
    shot("repaint")
    page.get_by_role("button", name="Mock engines").click()
    shot("about")
    page.keyboard.press("Escape")


def what_became_of_it(studio: StudioPage, shot: Shot, view: Shot) -> None:
    """A repaint beside its source, and how it was made; the songs, of which it is one."""
    page = studio.page
    studio.create()
    made = page.locator("#deck .made:visible")
    until(made.count, "the repaint is not made")
    studio.until_drawn()
    shot("repainted")
    page.locator("#deck summary", has_text="How it was made").click()
    page.locator("#deck").evaluate("one => { one.scrollTop = one.scrollHeight; }")
    shot("how-it-was-made")
    view("songs")
    shot("songs-with-a-repaint")


def filled_in(studio: StudioPage, shot: Shot, view: Shot) -> None:
    """A song that the language model has written; a cover; a form without words."""
    page = studio.page
    view("write")
    studio.task("New song")
    page.get_by_role("radio", name="Describe it").check()
    page.get_by_label("A song in a few words").fill("a sad song about rain")
    studio.fill(bpm="", key_scale="", time_signature="", audio_duration="")
    page.get_by_role("button", name="Write caption and lyrics").click()
    page.locator(".written-note").wait_for()
    page.locator(".written-note").scroll_into_view_if_needed()
    shot("filled-in")
    studio.task("Cover")
    page.evaluate("document.querySelector('#source').scrollIntoView()")
    shot("cover")
    studio.task("New song")
    studio.fill(caption="", lyrics="")
    studio.create()
    shot("empty-form")


def locked(browser: Browser, size: dict[str, int], folder: Path, data: Path) -> None:
    """A service with an API key, after the question for it was closed."""
    name = "phone" if size == PHONE else "desktop"
    with one_process(data=data, api_key="secret") as service:
        studio = StudioPage.open(browser, service.url, viewport=size, has_touch=size == PHONE)
        studio.page.get_by_role("dialog", name="API key").wait_for()
        studio.page.screenshot(path=folder / f"{name}-key.png")
        studio.page.keyboard.press("Escape")
        studio.page.locator("#key-text", has_text="Enter the key").wait_for()
        studio.page.screenshot(path=folder / f"{name}-locked.png")
        studio.page.context.close()


if __name__ == "__main__":
    main()
