"""Songs that are made of others: a part anew, a continuation, a cover of a file, more like it."""

import io
from base64 import b64encode
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Locator, expect

from tests.e2e.studio.studio_page import StudioPage

RATE = 48_000
DROP = """async ([place, name, text]) => {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type: "audio/wav"}));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true});
    document.querySelector(place).dispatchEvent(event);
  }
}"""


def samples(file: bytes) -> NDArray[np.float32]:
    found, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert rate == RATE
    return np.asarray(found, dtype=np.float32)


def drag(studio: StudioPage, wave: Locator, start: float, end: float) -> None:
    """Drag over a waveform, from one share of its width to another."""
    wave.scroll_into_view_if_needed()
    box = wave.bounding_box()
    assert box
    mouse, y = studio.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + start * box["width"], y)
    mouse.down()
    mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
    mouse.move(box["x"] + end * box["width"], y, steps=3)
    mouse.up()


def changed_seconds(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[float, float]:
    """The first and the last second at which two sounds differ."""
    assert before.shape == after.shape
    places = np.flatnonzero(np.any(before != after, axis=1))
    return places[0] / RATE, places[-1] / RATE


def test_the_part_that_is_marked_with_the_mouse_is_made_anew_and_no_other(
    studio: StudioPage,
) -> None:
    studio.song("calm jazz trio", 20, audio_format="wav", batch_size="1")
    drag(studio, studio.lane(1).locator(".wave"), 0.25, 0.5)
    studio.page.get_by_text("Marked: ").wait_for()
    studio.lane(1).get_by_role("button", name="Repaint here").click()
    page = studio.page
    start = float(page.locator("#repainting_start").input_value())
    end = float(page.locator("#repainting_end").input_value())
    assert abs(start - 5) < 0.2 and abs(end - 10) < 0.2
    studio.fill(caption="loud techno, 140 bpm")
    studio.create()
    studio.until_takes("loud techno, 140 bpm")
    after, before = [
        samples(studio.audio(job["result"]["first_audio_path"])) for job in studio.jobs()[:2]
    ]
    first, last = changed_seconds(before, after)
    assert abs(first - start) < 0.1 and abs(last - end) < 0.1
    assert studio.page.locator("#deck .lane").count() == 2, "the source is there, to compare"
    page.get_by_role("button", name="2, The source: take 1 of calm jazz trio").wait_for()


def test_the_part_is_marked_with_the_keyboard_on_a_file(studio: StudioPage, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    wave = np.sin(np.arange(12 * RATE) / 40)[:, np.newaxis] * np.array([0.5, 0.4])
    soundfile.write(song, wave, RATE, subtype="PCM_16")
    studio.task("Repaint")
    page = studio.page
    page.locator("#src_audio").set_input_files(song)
    thumb = page.get_by_role("slider", name="Start of the part")
    thumb.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_role("slider", name="End of the part").focus()
    page.keyboard.press("PageDown")
    assert thumb.get_attribute("aria-valuetext") == "0:03.1"
    assert page.locator("#repainting_start").input_value() == "3.1"
    assert page.locator("#repainting_end").input_value() == "7"
    studio.fill(caption="a drum solo", audio_format="wav", batch_size="1")
    studio.create()
    studio.until_takes("a drum solo")
    after = samples(studio.audio(studio.jobs()[0]["result"]["first_audio_path"]))
    first, last = changed_seconds(samples(song.read_bytes())[: len(after)], after)
    assert abs(first - 3.1) < 0.05 and abs(last - 7) < 0.05


def test_a_take_is_continued_beyond_its_end(studio: StudioPage) -> None:
    studio.song("slow blues", 12, audio_format="wav", batch_size="1")
    studio.lane(1).get_by_role("button", name="Continue").click()
    page = studio.page
    expect(page.locator("#repainting_start")).to_have_value("9.0")
    page.locator("#repainting_end").fill("20")
    studio.fill(caption="slow blues, on and on")
    studio.create()
    studio.until_takes("slow blues, on and on")
    expect(page.locator("#deck .chips")).to_contain_text("Continued from 0:09")
    expect(page.locator("#song-list .song .task").first).to_have_text("Continued from 0:09")
    after, before = [
        samples(studio.audio(job["result"]["first_audio_path"])) for job in studio.jobs()[:2]
    ]
    assert len(after) == 20 * RATE
    assert np.array_equal(after[: 9 * RATE], before[: 9 * RATE])
    assert np.abs(after[13 * RATE :]).max() > 0.05


def test_a_file_that_is_dropped_is_covered(studio: StudioPage, tmp_path: Path) -> None:
    loud = np.repeat([0.05, 0.9, 0.05], 5 * RATE)
    noise = np.random.default_rng(1).uniform(-1, 1, len(loud))
    file = tmp_path / "demo.wav"
    soundfile.write(file, loud * noise, RATE)
    page = studio.page
    # What falls beside its place does not replace the page.
    studio.task("Cover")
    page.evaluate(DROP, ["#source", "my demo – Пример.wav", b64encode(file.read_bytes()).decode()])
    page.get_by_text("my demo – Пример.wav", exact=True).wait_for()
    page.locator("#source").get_by_text("0:15", exact=True).wait_for()
    studio.fill(caption="string quartet", audio_format="wav", batch_size="1")
    studio.create()
    studio.until_takes("string quartet")
    cover = samples(studio.audio(studio.jobs()[0]["result"]["first_audio_path"]))
    assert len(cover) == 15 * RATE
    levels = [float(np.sqrt((cover[s * RATE : (s + 5) * RATE] ** 2).mean())) for s in (0, 5, 10)]
    assert levels[1] > 2 * max(levels[0], levels[2]), "it follows the file"


def test_more_like_a_cover_of_a_file_and_what_a_reload_forgets(
    studio: StudioPage, tmp_path: Path
) -> None:
    file = tmp_path / "demo.wav"
    soundfile.write(file, np.random.default_rng(1).uniform(-0.5, 0.5, 11 * RATE), RATE)
    page = studio.page
    studio.task("Cover")
    page.locator("#src_audio").set_input_files(file)
    studio.fill(caption="by a choir", batch_size="1")
    studio.create()
    studio.until_takes("by a choir")
    earlier = studio.jobs()[0]["job_id"]
    studio.lane(1).get_by_role("button", name="More like this").click()
    studio.until_another(earlier)
    studio.load()
    studio.until_takes("by a choir")
    before = len(studio.jobs())
    studio.lane(1).get_by_role("button", name="More like this").click()
    expect(page.get_by_text("Choose demo.wav again")).to_be_visible()
    assert page.get_by_role("radio", name="Cover", exact=True).is_checked()
    assert len(studio.jobs()) == before


def test_more_like_a_take_and_a_cover_of_it(studio: StudioPage) -> None:
    studio.song("bright folk", 10, bpm="90", batch_size="1")
    earlier = studio.jobs()[0]["job_id"]
    studio.lane(1).get_by_role("button", name="More like this").click()
    studio.until_another(earlier)
    more, first = studio.jobs()[:2]
    assert more["result"]["seed_value"] != first["result"]["seed_value"]
    studio.until_takes("bright folk")
    studio.lane(1).get_by_role("button", name="Cover this").click()
    studio.fill(caption="heavy metal")
    studio.create()
    studio.until_takes("heavy metal")
    assert studio.jobs()[0]["warnings"] == []


def test_settings_and_seed_make_the_same_song_again(studio: StudioPage) -> None:
    studio.song("quiet harp", 10, audio_format="wav", bpm="77", key_scale="D minor")
    first = studio.jobs()[0]
    studio.fill(caption="something else", bpm="", key_scale="")
    studio.page.get_by_role("button", name="Settings and seed").click()
    assert studio.page.locator("#caption").input_value() == "quiet harp"
    studio.create()
    studio.until_another(first["job_id"])
    second = studio.jobs()[0]
    for one, other in zip(
        first["result"]["audio_paths"], second["result"]["audio_paths"], strict=True
    ):
        assert np.array_equal(samples(studio.audio(one)), samples(studio.audio(other)))
