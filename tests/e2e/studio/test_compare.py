"""Takes side by side: of one song and of several, in loops, and beside what is made meanwhile."""

import re
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process
from tests.service import until


def test_a_take_stays_to_be_compared_with_another_song(studio: StudioPage) -> None:
    page = studio.page
    studio.song("one of two", 12)
    studio.lane(2).get_by_role("button", name="Compare Take 2 with other songs").click()
    studio.song("two of two", 12)
    studio.until_drawn()
    names = page.locator("#deck .lane-name").all_text_contents()
    assert [re.sub(" · seed.*", "", name) for name in names] == [
        "Take 1",
        "Take 2",
        "one of two, take 2",
    ]
    page.locator("#listen").focus()
    page.keyboard.press("k")
    studio.until_plays()
    page.keyboard.press("3")
    expect(page.locator("#now-take")).to_have_text("one of two, take 2")
    studio.lane(3).get_by_role("button", name="Remove").click()
    expect(page.locator("#deck .lane")).to_have_count(2)
    expect(page.locator("#switches button")).to_have_count(2)


def test_a_marked_part_is_repeated(studio: StudioPage) -> None:
    page = studio.page
    studio.song("round and round", 20)
    page.locator("#listen").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("[")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("]")
    expect(page.locator("#deck .region")).to_contain_text("Marked: 0:10.0 to 0:11.0")
    page.get_by_role("button", name="Loop it").click()
    page.locator("#listen").focus()
    page.keyboard.press("k")
    seen: list[float] = []

    def came_round() -> bool:
        seen.append(studio.position)
        return sum(later < earlier for earlier, later in pairwise(seen)) > 2

    until(came_round, "it is not repeated")
    assert all(9.9 <= at <= 11.1 for at in seen)


def test_a_click_on_a_waveform_leads_there_in_that_take(studio: StudioPage) -> None:
    studio.song("click here", 20)
    wave = studio.lane(2).locator(".wave")
    box = wave.bounding_box()
    assert box
    wave.click(position={"x": box["width"] / 2, "y": 10})
    expect(studio.page.locator("#now-take")).to_have_text("Take 2")
    until(lambda: abs(studio.position - 10) < 0.2, "the playhead is elsewhere")


def test_a_song_that_is_ready_does_not_interrupt_another(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 0.3}) as service:
        studio = visit(service.url)
        page = studio.page
        studio.song("the first", 30)
        studio.fill(caption="the second")
        studio.create()
        expect(page.locator("#deck .song-title")).to_have_text("the second")
        page.keyboard.press("k")
        studio.until_plays()
        ready = page.locator("#deck .stage", has_text="2 takes ready")
        expect(ready).to_be_visible(timeout=30_000)
        at = studio.position
        until(lambda: studio.position > at + 0.5, "the first was interrupted")
        expect(page.locator("#now-title")).to_have_text("the first")
        page.locator("#deck").get_by_role("button", name="Listen").click()
        studio.until_takes("the second")
        expect(page.locator("#now-title")).to_have_text("the second")
        page.context.close()


def test_a_liked_take_is_liked_on_another_day(studio: StudioPage) -> None:
    studio.song("my favourite", 10)
    like = studio.lane(2).get_by_role("button", name="Like Take 2")
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")  # the browser has stored it
    studio.load()
    studio.until_takes("my favourite")
    expect(like).to_have_attribute("aria-pressed", "true")
    assert studio.page.locator("#song-list .heart").first.is_visible()


def test_a_take_is_downloaded_under_the_songs_name(studio: StudioPage) -> None:
    studio.song("Lied für Anna / Nr. 1", 10, audio_format="flac", batch_size="1")
    with studio.page.expect_download() as download:
        studio.page.get_by_role("link", name="Download Take 1").click()
    assert Path(download.value.path()).read_bytes().startswith(b"fLaC")
    assert download.value.suggested_filename.endswith(".flac")
