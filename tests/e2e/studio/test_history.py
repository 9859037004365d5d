"""What was made of a source differs from it, in the list and on the take; and how it was made."""

import json
import re

from playwright.sync_api import expect

from tests.e2e.studio.studio_page import StudioPage

BAND = """(band) => {
  const [own, all] = [band, band.parentElement].map((one) => one.getBoundingClientRect());
  return [(own.left - all.left) / all.width, (own.right - all.left) / all.width];
}"""


def test_a_repaint_and_a_cover_have_a_badge_and_the_new_part_is_drawn(studio: StudioPage) -> None:
    page = studio.page
    studio.song("one and the same", 20, batch_size="1")
    expect(page.locator("#song-list .song").first.locator(".task")).to_be_hidden()
    expect(studio.lane(1).locator(".made")).to_be_hidden()
    studio.lane(1).get_by_role("button", name="Repaint here").click()
    studio.fill(repainting_start="5", repainting_end="10")
    studio.create()
    expect(page.locator("#deck .lane")).to_have_count(2)
    studio.until_drawn()
    row = page.locator("#song-list .song").first
    expect(row).to_contain_text("one and the same")
    expect(row.locator(".task")).to_have_text("Repaint 0:05–0:10")
    expect(page.locator("#deck .chips")).to_contain_text("Repaint 0:05–0:10")
    expect(studio.lane(1)).to_contain_text("new: 0:05–0:10")
    band = studio.lane(1).locator(".made")
    expect(band).to_be_visible()
    start, end = band.evaluate(BAND)
    assert abs(start - 0.25) < 0.01 and abs(end - 0.5) < 0.01
    expect(studio.lane(2).locator(".made")).to_be_hidden()
    studio.lane(1).get_by_role("button", name="Cover this").click()
    studio.fill(caption="another style")
    studio.create()
    studio.until_takes("another style")
    expect(page.locator("#song-list .song").first.locator(".task")).to_have_text("Cover")
    # Of songs of others, too, as far as it is known.
    page.get_by_role("radio", name="All here").check()
    expect(page.locator("#song-list .song").first.locator(".task")).to_have_text("Cover")


def test_how_a_song_was_made_is_readable_and_whole_below(studio: StudioPage) -> None:
    page = studio.page
    studio.song("how", 12, lyrics="[Verse]\nHello")
    page.locator("#deck summary", has_text="How it was made").click()
    made = page.locator(".how")
    rows = {
        row.locator("th").inner_text(): row.locator("td").inner_text()
        for row in made.locator("tr").all()
    }
    assert rows["Steps"] == "8" and rows["Guidance"] == "7" and rows["Task"] == "New song"
    assert rows["Takes"] == "2, each 0:12"
    assert re.fullmatch(r"\d+\.\d s|\d+ min \d+ s", rows["In all"])
    made.get_by_text("As the service says it").click()
    expect(made.locator(".raw")).to_contain_text("job_id")
    whole = json.loads(made.locator(".raw").inner_text())
    assert whole["result"]["generation_info"].startswith("Steps: 8, Scale: 7.0")


def test_a_long_state_in_the_list_is_readable_whole(studio: StudioPage) -> None:
    cut = """() => [...document.querySelectorAll(".song-line *")].some(
        (one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
          && getComputedStyle(one).overflow !== "visible")"""
    page = studio.page
    studio.song("long state", 10, batch_size="1")
    state = page.locator("#song-list .song-state").first
    state.evaluate("one => { one.textContent = 'Planned; waiting for its turn, 40 %, and more '; }")
    assert not page.evaluate(cut)
    box, line = state.bounding_box(), page.locator("#song-list .song").first.bounding_box()
    assert box and line
    assert box["y"] + box["height"] <= line["y"] + line["height"]
