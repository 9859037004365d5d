"""While a song is made: its place, how far it is, and how it is stopped; and what is refused."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import OneProcess, one_process
from tests.service import until


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """A service whose songs take some seconds."""
    data = tmp_path_factory.mktemp("slow")
    with one_process(data=data, mock={"step_seconds": 0.6}, limits={"queue": 3}) as service:
        yield service


def test_progress_is_shown_and_the_time_that_is_left(visit: OpenStudio, slow: OneProcess) -> None:
    studio = visit(slow.url)
    studio.fill(caption="slow song", audio_duration="10", inference_steps="16")
    studio.create()
    page = studio.page
    expect(page.locator("#deck .stage")).to_have_text("Making the music")
    expect(page.locator("#deck .detail")).to_have_text(
        re.compile(r"step \d+ of 16 · \d+ % · (about \d+\ss|a few seconds) left")
    )
    bar = page.get_by_role("progressbar", name="Progress")
    shares: list[int] = []

    def grows() -> bool:
        if bar.count() and (text := bar.get_attribute("aria-valuenow")):
            shares.append(int(text))
        return len(set(shares)) > 3

    until(grows, "progress is not shown")
    assert shares == sorted(shares) and 0 < shares[-1] < 100
    expect(page).to_have_title(re.compile(r"\d+ % · Studio"))
    expect(page.locator("#song-list .song-line").first).to_contain_text("Making the music")
    studio.until_takes("slow song")
    expect(page).to_have_title("Studio")


BARS = """() => {
  window.widths = [];
  const look = () => {
    const bar = document.querySelector("#deck .waiting .bar");
    if (bar && !("idle" in bar.dataset)) {
      const width = bar.firstElementChild.getBoundingClientRect().width;
      window.widths.push(width / bar.getBoundingClientRect().width);
    }
    requestAnimationFrame(look);
  };
  look();
}"""
"""Writes down in each frame how much of the bar is filled, from when the song is made on."""


def test_the_bar_never_runs_backwards(visit: OpenStudio, slow: OneProcess) -> None:
    studio = visit(slow.url)
    page = studio.page
    page.evaluate(BARS)
    studio.fill(caption="only ahead", audio_duration="10", inference_steps="8", batch_size="1")
    studio.create()
    studio.until_takes("only ahead")
    widths: list[float] = page.evaluate("window.widths")
    assert len(widths) > 5 and widths[-1] > 0.5
    steps = [after - before for before, after in itertools.pairwise(widths)]
    assert widths[0] < 0.2 and min(steps) > -0.01


def test_a_song_is_cancelled(visit: OpenStudio, slow: OneProcess) -> None:
    studio = visit(slow.url)
    studio.fill(caption="a mistake", audio_duration="10", inference_steps="100")
    studio.create()
    studio.page.get_by_role("button", name="Cancel").click()
    expect(studio.page.locator("#deck")).to_contain_text("It was cancelled.")
    assert studio.jobs()[0]["error_code"] == "cancelled"
    expect(studio.page.locator("#song-list .song-line").first).to_contain_text("cancelled")
    studio.page.get_by_role("button", name="Use its settings").click()
    assert studio.page.locator("#caption").input_value() == "a mistake"


def test_places_in_a_full_queue(visit: OpenStudio, slow: OneProcess) -> None:
    studio = visit(slow.url)
    page = studio.page
    studio.fill(audio_duration="10", inference_steps="20")
    alert = page.get_by_role("alert")
    sent = 0
    while not alert.is_visible():
        assert sent < 12, "the queue has no end"
        sent += 1
        studio.fill(caption=f"song {sent}")
        studio.create()
        expect(page.get_by_role("button", name="Create", exact=True)).to_be_enabled()
    expect(alert).to_contain_text("queue")
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()
    page.locator("#song-list .song-open").first.click()
    expect(page.locator("#deck .stage")).to_have_text(re.compile(r"\d+ songs? before it|Next in"))
    expect(page.locator("#deck .detail")).to_have_text(re.compile("ready in (about|a few)"))
    expect(page.locator("#service-text")).to_contain_text("waiting")
    for job in studio.jobs():
        if job["status"] in ("queued", "running"):
            page.request.post(f"{slow.url}/v1/jobs/{job['job_id']}/cancel")
    expect(page.locator("#deck")).to_contain_text("It was cancelled.")


def test_an_error_stands_at_its_field(studio: StudioPage) -> None:
    page = studio.page
    studio.fill(caption="a song", bpm="5", seed="1,2,3", batch_size="2", lm_top_p="-1")
    page.get_by_role("checkbox", name="Plan with the language model").check()
    page.evaluate("document.querySelector('#advanced').open = false")
    before = len(studio.jobs())
    studio.create()
    bpm = page.get_by_label("Tempo, bpm")
    expect(bpm).to_be_focused()
    expect(bpm).to_have_accessible_description("This must be a whole number from 30 to 300.")
    expect(bpm).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#lm_top_p-error")).to_be_visible()
    assert len(studio.jobs()) == before
    bpm.fill("120")
    expect(bpm).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#bpm-error")).to_have_count(0)
    studio.fill(lm_top_p="")
    studio.create()
    expect(page.locator("#seed-error")).to_contain_text("seed lists 3 seeds")


def test_what_is_missing_is_said_where_it_is_missing(studio: StudioPage) -> None:
    page = studio.page
    before = len(studio.jobs())
    studio.task("Cover")
    studio.fill(caption="jazz")
    studio.create()
    source, error = page.locator("#src_audio"), page.locator("#src_audio-error")
    expect(source).to_be_focused()
    expect(error).to_have_text("Choose the audio to cover.")
    studio.task("Repaint")
    expect(error).to_have_count(0)
    studio.create()
    expect(source).to_have_accessible_description("Choose the audio to repaint.")
    studio.task("New song")
    expect(page.locator("#song .error")).to_have_count(0)
    assert len(studio.jobs()) == before


def test_an_empty_form_makes_no_song(studio: StudioPage) -> None:
    page = studio.page
    before = len(studio.jobs())
    studio.fill(caption="  ", bpm="120")
    studio.create()
    caption = page.locator("#caption")
    expect(caption).to_be_focused()
    expect(caption).to_have_accessible_description(re.compile("Describe the music or write lyrics"))
    page.get_by_role("radio", name="Describe it").check()
    studio.create()
    expect(page.locator("#sample_query")).to_be_focused()
    expect(page.locator("#sample_query-error")).to_have_text("Say in a few words what to make.")
    assert len(studio.jobs()) == before
    page.get_by_role("radio", name="Write it").check()
    studio.fill(caption="", lyrics="La la la", audio_duration="10", batch_size="1", bpm="")
    studio.create()
    studio.until_takes("La la la")


def test_a_cover_needs_no_words(studio: StudioPage) -> None:
    studio.song("to be covered", 10, batch_size="1")
    studio.lane(1).get_by_role("button", name="Cover this").click()
    studio.fill(caption="", lyrics="")
    studio.create()
    expect(studio.page.locator("#deck .chips")).to_contain_text("Cover")
    studio.until_takes("Untitled")


def test_errors_have_the_names_of_the_page(studio: StudioPage) -> None:
    page = studio.page
    studio.song("a window", 10, batch_size="1")
    studio.lane(1).get_by_role("button", name="Repaint here").click()
    studio.fill(repainting_start="8", repainting_end="4")
    page.locator("#caption").focus()
    studio.create()
    end = page.get_by_label("To, seconds")
    expect(end).to_be_focused()
    expect(end).to_have_accessible_description("“To” (4) must lie after “From” (8).")
    expect(page.locator("#song")).not_to_contain_text("repainting_")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("notes.mp3", b"these are notes, but no music\n" * 300, "a text"),
        ("song.txt", "夜雨中的旧城".encode() * 900, "a text"),
        ("sheet.pdf", b"%PDF-1.7 \x00\x01", "a PDF"),
        ("cover.wav", b"\x89PNG\r\n\x1a\n\x00\x00", "a picture"),
        ("nothing.wav", b"", "empty"),
    ],
)
def test_a_file_that_is_clearly_no_sound_is_refused_at_once(
    studio: StudioPage, tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    page = studio.page
    studio.task("Cover")
    page.locator("#src_audio").set_input_files(file)
    expect(page.locator("#src_audio-error")).to_have_text(
        f"“{name}” is {kind}. Choose an audio file."
    )
    expect(page.locator("#source .drop")).to_be_visible()
    expect(page.locator("#source")).not_to_contain_text("nevertheless")
    studio.create()
    expect(page.locator("#src_audio-error")).to_have_text(
        f"“{name}” is {kind}. Choose an audio file."
    )


def test_what_only_the_service_can_read_is_left_to_it(studio: StudioPage, tmp_path: Path) -> None:
    file = tmp_path / "song.aiff"
    # AIFF, which Chromium cannot play.
    soundfile.write(file, np.sin(np.arange(480_000) / 40) / 2, 48_000, format="AIFF")
    studio.task("Cover")
    studio.page.locator("#src_audio").set_input_files(file)
    note = studio.page.locator("#source .note")
    expect(note).to_contain_text("cannot play this kind of file. The service may read it")
    studio.fill(caption="jazz", batch_size="1")
    studio.create()
    studio.until_takes("jazz")


def test_a_file_that_is_too_large_is_not_sent(visit: OpenStudio, tmp_path: Path) -> None:
    file = tmp_path / "large.wav"
    file.write_bytes(bytes(3_000_000))
    with one_process(data=tmp_path / "data", limits={"upload_bytes": 2_000_000}) as service:
        studio = visit(service.url)
        studio.task("Cover")
        expect(studio.page.locator("#model")).not_to_be_empty()
        studio.page.locator("#src_audio").set_input_files(file)
        expect(studio.page.locator("#src_audio-error")).to_contain_text("up to 2 MB")
        studio.page.context.close()


def test_what_a_turbo_model_ignores_is_not_offered(studio: StudioPage) -> None:
    page = studio.page
    page.get_by_text("Advanced:").click()
    expect(page.get_by_label("Guidance", exact=True).first).to_be_disabled()
    expect(page.locator("#guidance-hint")).to_contain_text("it ignores guidance")
    page.get_by_role("button", name=re.compile("Mock engines")).click()
    about = page.get_by_role("dialog", name="About this service")
    expect(about).to_contain_text("It ignores guidance_scale")
    expect(about).to_contain_text("mock: a synthesiser, no model")
    page.keyboard.press("Escape")
    expect(about).to_have_count(0)
