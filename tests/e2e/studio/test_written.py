"""What the language model fills into the form is marked, and binds no later song unseen."""

import json
import re

from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import OneProcess


def write(studio: StudioPage, description: str) -> None:
    page = studio.page
    page.get_by_role("radio", name="Describe it").check()
    page.get_by_label("A song in a few words").fill(description)
    page.get_by_role("button", name="Write caption and lyrics").click()
    expect(page.locator("#caption")).to_be_focused()


def test_values_of_the_language_model_are_marked_and_taken_out_together(
    studio: StudioPage,
) -> None:
    page = studio.page
    write(studio, "a sad song about rain")
    bpm = page.locator("#bpm").input_value()
    assert bpm
    note = page.locator(".written-note")
    expect(note).to_contain_text(re.compile("tempo.* filled in by the language model", re.I))
    tempo = page.locator(".field", has=page.locator("#bpm"))
    expect(tempo).to_contain_text("language model")
    # Beside Create, wherever the form is scrolled to.
    expect(page.locator("#summary")).to_contain_text(f"{bpm} bpm")
    studio.load()
    expect(note).to_be_visible()
    note.get_by_role("button", name=re.compile("Clear")).click()
    expect(note).to_be_hidden()
    for name in ("bpm", "key_scale", "time_signature", "audio_duration"):
        assert page.locator(f"#{name}").input_value() == "", name
    expect(page.locator("#summary")).not_to_contain_text("bpm")


def test_the_language_of_the_next_song_stands_beside_create(studio: StudioPage) -> None:
    page = studio.page
    summary = page.locator("#summary")
    write(studio, "a sad song about rain, in French")
    assert page.locator("#vocal_language").input_value() == "fr"
    expect(summary).to_contain_text("French")
    page.get_by_role("button", name="Clear Language").click()
    expect(summary).not_to_contain_text("French")
    expect(summary).not_to_contain_text("English")
    studio.fill(vocal_language="de")
    expect(summary).to_contain_text("German")


def test_one_value_is_taken_out_and_one_that_is_changed_is_ones_own(studio: StudioPage) -> None:
    page = studio.page
    write(studio, "a happy song about bread")
    page.get_by_role("button", name="Clear Tempo").click()
    expect(page.locator("#bpm")).to_have_value("")
    expect(page.locator("#bpm")).to_be_focused()
    studio.fill(audio_duration="33")
    length = page.locator(".field", has=page.locator("#audio_duration"))
    expect(length).not_to_contain_text("language model")


def test_what_was_written_for_one_song_is_not_asked_for_in_the_next(studio: StudioPage) -> None:
    page = studio.page
    studio.fill(key_scale="D minor")
    write(studio, "a sad song about rain")
    assert page.locator("#key_scale").input_value() == "D minor"
    key = page.locator(".field", has=page.locator("#key_scale"))
    expect(key).not_to_contain_text("language model")
    assert page.locator("#bpm").input_value()
    with page.expect_request("**/v1/create_sample") as asked:
        write(studio, "a fast song about trains")
    body = json.loads(asked.value.post_data or "")
    assert body["key_scale"] == "D minor", "what the user chose is kept"
    assert not {"bpm", "duration", "time_signature"} & body.keys()


def test_undo_takes_the_marks_back_too(studio: StudioPage) -> None:
    page = studio.page
    studio.fill(bpm="91")
    write(studio, "a sad song about rain")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".written-note")).to_be_hidden()
    assert page.locator("#bpm").input_value() == "91"


def test_an_instrumental_has_no_language(visit: OpenStudio, mock: OneProcess) -> None:
    studio = visit(mock.url)
    page = studio.page
    studio.song("no words", 10, batch_size="1")
    expect(page.locator("#deck .chips")).not_to_contain_text("English")
    studio.song("only tags", 10, batch_size="1", lyrics="[Intro]\n\n[Guitar Solo]")
    expect(page.locator("#deck .chips")).not_to_contain_text("English")
    studio.song("words", 10, batch_size="1", lyrics="[Verse]\nHello world")
    expect(page.locator("#deck .chips")).to_contain_text("English")
