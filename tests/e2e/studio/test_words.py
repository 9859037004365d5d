"""Who writes the song: its maker, or the language model."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process


def test_the_language_model_writes_a_song_that_can_be_edited_and_taken_back(
    studio: StudioPage,
) -> None:
    page = studio.page
    studio.fill(caption="my own words")
    page.get_by_role("radio", name="Describe it").check()
    page.get_by_label("A song in a few words").fill("a sad song about rain")
    page.get_by_role("button", name="Write caption and lyrics").click()
    expect(page.locator("#caption")).to_be_focused()
    expect(page.locator("#caption")).not_to_have_value("my own words")
    assert "[" in page.locator("#lyrics").input_value()
    assert page.locator("#bpm").input_value()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#caption")).to_have_value("my own words")
    assert page.locator("#lyrics").input_value() == ""


def test_a_description_becomes_a_song_at_once(studio: StudioPage) -> None:
    page = studio.page
    page.get_by_role("radio", name="Describe it").check()
    page.get_by_label("A song in a few words").fill("a happy song about bread")
    studio.fill(audio_duration="12")
    studio.create()
    studio.until_takes("a happy song about bread")
    result = studio.jobs()[0]["result"]
    assert result["lm_lyrics"] and result["lm_caption"]
    page.locator("#deck summary", has_text="Lyrics").click()
    expect(page.locator("#deck pre").first).to_have_text(result["lm_lyrics"])


def test_the_text_is_improved(studio: StudioPage) -> None:
    studio.fill(caption="pop", lyrics="hello world\nhello again")
    studio.page.get_by_role("button", name="Improve the text").click()
    expect(studio.page.locator("#caption")).not_to_have_value("pop")
    assert "hello" in studio.page.locator("#lyrics").input_value().lower()


def test_an_example_fills_the_form(studio: StudioPage) -> None:
    studio.page.get_by_role("button", name="Example").click()
    expect(studio.page.locator("#caption")).not_to_have_value("")
    assert studio.page.locator("#audio_duration").input_value()


def test_section_tags_stand_on_lines_of_their_own(studio: StudioPage) -> None:
    page = studio.page
    page.get_by_role("toolbar", name="Section tags").get_by_text("Verse", exact=True).click()
    page.keyboard.type("Hello world")
    page.get_by_role("toolbar", name="Section tags").get_by_text("Chorus", exact=True).click()
    page.keyboard.type("La la")
    expect(page.locator("#lyrics")).to_have_value("[Verse]\nHello world\n\n[Chorus]\nLa la")
    for _ in range(6):
        page.keyboard.press("ControlOrMeta+z")
    assert "[Chorus]" not in page.locator("#lyrics").input_value(), "undo takes a tag back"


def test_the_form_tells_how_much_of_a_text_is_read(studio: StudioPage) -> None:
    count = studio.page.locator("#caption-count")
    studio.fill(caption="warm indie pop with jangling guitars")
    expect(count).to_have_text(re.compile(r"about [5-9] of 200 tokens that the model reads$"))
    studio.fill(caption="warm indie pop with jangling guitars, " * 60)
    expect(count).to_contain_text("Too long: it reads about the first")


def test_lyrics_in_another_script_than_the_languages_are_noticed(studio: StudioPage) -> None:
    page = studio.page
    hint = page.get_by_text("The lyrics look like")
    studio.fill(lyrics="[Verse]\nHello world")
    expect(hint).to_be_hidden()
    for lyrics, name in (
        ("夜雨中的旧城", "Chinese"),
        ("夜の街に雨が降る", "Japanese"),
        ("Ночь", "Russian"),
    ):
        studio.fill(lyrics=f"[Verse]\n{lyrics}")
        expect(hint).to_have_text(f"The lyrics look like {name}.")
    page.get_by_role("button", name="Use it").click()
    assert page.locator("#vocal_language").input_value() == "ru"
    expect(hint).to_be_hidden()


def test_a_song_with_long_foreign_words_is_shown_as_it_was_written(studio: StudioPage) -> None:
    titles = ("夜雨中的旧城" * 12, "أغنية هادئة عن البحر " * 6, "🎻" * 40 + " emoji")
    for title in titles:
        studio.song(title.strip(), 10, batch_size="1")
    page = studio.page
    rows = page.locator("#song-list .song-name")
    assert rows.all_text_contents() == [title.strip() for title in reversed(titles)]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    arabic = page.locator("#song-list .song-name").nth(1)
    assert arabic.evaluate("one => getComputedStyle(one).direction") == "rtl"


@pytest.mark.parametrize("width", [1440, 390])
def test_a_service_whose_engines_are_not_up_says_so(
    visit: OpenStudio, tmp_path: Path, width: int
) -> None:
    with one_process(data=tmp_path, engines=False) as service:
        studio = visit(service.url, viewport={"width": width, "height": 844})
        page = studio.page
        expect(page.locator("#service-notice")).to_contain_text("The engines are starting")
        expect(page.locator("#lm-hint")).to_contain_text("It is not running now")
        studio.fill(caption="a song")
        studio.create()
        expect(page.get_by_role("alert")).to_contain_text("Trying again")
        studio.page.context.close()
