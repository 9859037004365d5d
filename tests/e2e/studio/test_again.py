"""Songs are found again: after a reload, in another tab, after a restart, on another day."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.restarted_service import restarted_service
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process
from tests.service import until


def test_a_reload_while_a_song_is_made(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 0.5}) as service:
        studio = visit(service.url)
        studio.fill(caption="made during a reload", lyrics="la la", audio_duration="10")
        studio.create()
        expect(studio.page.locator("#deck .stage")).to_have_text("Making the music")
        studio.load()
        expect(studio.page.locator("#deck .stage")).to_have_text("Making the music")
        assert studio.page.locator("#lyrics").input_value() == "la la", "the form is kept"
        studio.until_takes("made during a reload")
        studio.load()
        studio.until_takes("made during a reload")
        assert len(studio.jobs()) == 1
        studio.page.context.close()


def test_two_tabs_show_the_same(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 0.3}) as service:
        first = visit(service.url)
        second = first.tab()
        first.fill(caption="seen twice", audio_duration="10")
        first.create()
        second.page.get_by_role("radio", name="All here").check()
        row = second.page.locator("#song-list .song", has_text="seen twice")
        expect(row.locator(".song-line")).to_contain_text(re.compile("[0-9]+ %"))
        row.get_by_role("button").click()
        second.until_takes("seen twice")
        first.until_takes("seen twice")
        # The other tab's settings are those of this one, too.
        second.page.get_by_role("button", name="Use its settings").click()
        assert second.page.locator("#audio_duration").input_value() == "10"
        # What one tab deletes is gone in the other.
        first.page.get_by_role("button", name="Delete").click()
        first.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
        expect(second.page.locator("#deck")).to_contain_text("no longer has this song")
        assert first.jobs() == []
        assert second.errors == []
        first.page.context.close()


def test_two_tabs_have_a_song_each_in_their_forms(studio: StudioPage) -> None:
    """A reload of one does not bring back what was written in the other."""
    other = studio.tab()
    studio.fill(caption="of the first tab")
    other.fill(caption="of the second tab")
    other.load()
    studio.load()
    expect(studio.page.locator("#caption")).to_have_value("of the first tab")
    expect(other.page.locator("#caption")).to_have_value("of the second tab")
    assert other.errors == []


def test_ten_tabs_share_one_stream_and_outlive_the_one_that_has_it(
    visit: OpenStudio, tmp_path: Path
) -> None:
    """A browser has six connections to a host: with a stream each, a seventh tab would not load."""
    with one_process(data=tmp_path, mock={"step_seconds": 0.3}) as service:
        first = visit(service.url)
        others = [first.tab() for _ in range(9)]
        streams = [one for one in service.seen if one.path == "/v1/events"]
        assert len(streams) == 1
        first.page.close()
        last = others[-1]
        last.fill(caption="followed by all", audio_duration="10")
        last.create()
        for other in (others[0], last):
            other.page.locator("#song-list .song-open", has_text="followed by all").click()
            other.until_takes("followed by all")
        assert not any(other.errors for other in others)
        last.page.context.close()


def test_the_service_is_killed_while_a_song_is_made(visit: OpenStudio, tmp_path: Path) -> None:
    with restarted_service(tmp_path, step_seconds=0.4) as service:
        studio = visit(service.url)
        studio.fill(caption="survivor", audio_duration="10", inference_steps="20")
        studio.create()
        page = studio.page
        expect(page.locator("#deck .stage")).to_have_text("Making the music")
        service.kill()
        expect(page.locator("#service-text")).to_have_text("No connection, trying again")
        studio.fill(caption="written while nobody answers")
        studio.create()
        expect(page.get_by_role("alert")).to_contain_text("does not answer; trying again")
        service.start()
        expect(page.locator("#service-text")).to_contain_text("Mock engines", timeout=60_000)
        until(lambda: len(studio.jobs()) == 2, "the second song was lost")
        page.locator("#song-list .song", has_text="survivor").get_by_role("button").click()
        studio.until_takes("survivor")
        assert studio.jobs()[-1]["attempts"] > 1, "it was made again"
        page.locator("#song-list .song", has_text="nobody answers").get_by_role("button").click()
        studio.until_takes("written while nobody answers")
        page.context.close()


def test_on_another_day_a_song_that_has_expired_can_be_made_again(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, jobs={"keep": 3, "purge_every": 0.5}) as service:
        studio = visit(service.url)
        studio.song("gone with the wind", 10, bpm="91", batch_size="1")
        until(lambda: studio.jobs() == [], "it did not expire")
        studio.load()
        row = studio.page.locator("#song-list .song", has_text="gone with the wind")
        expect(row).to_contain_text("no longer stored")
        row.get_by_role("button").click()
        expect(studio.page.locator("#deck")).to_contain_text("Its settings are still here.")
        studio.fill(bpm="", caption="")
        studio.page.get_by_role("button", name="Use its settings").click()
        assert studio.page.locator("#bpm").input_value() == "91"
        assert studio.page.locator("#caption").input_value() == "gone with the wind"
        studio.page.context.close()


def test_songs_of_others_are_listed_apart(visit: OpenStudio, tmp_path: Path) -> None:
    with one_process(data=tmp_path) as service:
        other = visit(service.url)
        other.song("of somebody else", 10, batch_size="1")
        studio = visit(service.url)
        assert studio.page.locator("#song-list .song").count() == 0
        studio.page.get_by_role("button", name="Show all").click()
        studio.page.locator("#song-list .song").get_by_role("button").click()
        studio.until_takes("of somebody else")
        studio.page.get_by_role("button", name="Use its settings").click()
        assert studio.page.locator("#caption").input_value() == "of somebody else"
        other.page.context.close()
        studio.page.context.close()


def test_a_search_finds_words_of_titles_and_lyrics(studio: StudioPage) -> None:
    studio.song("red balloon", 10, batch_size="1")
    studio.song("blue boat", 10, batch_size="1", lyrics="an orange sail")
    found = studio.page.locator("#song-list .song-name")
    for words, titles in {"RED": ["red balloon"], "orange": ["blue boat"], "green": []}.items():
        studio.page.get_by_label("Search songs").fill(words)
        expect(found).to_have_text(titles)
