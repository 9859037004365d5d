"""From a caption to takes that are heard."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.e2e.studio.studio_page import StudioPage
from tests.service import until

RATE = 48_000
WATCH_STAGES = """() => {
  window.stages = new Set();
  new MutationObserver(() => {
    const stage = document.querySelector("#deck .stage");
    if (stage) window.stages.add(stage.textContent);
  }).observe(document.querySelector("#deck"), {subtree: true, childList: true});
}"""


def test_a_song_is_made_watched_and_heard(studio: StudioPage) -> None:
    page = studio.page
    studio.fill(
        caption="calm jazz trio, 100 bpm", lyrics="[Verse]\nHello world", audio_duration="20"
    )
    page.evaluate(WATCH_STAGES)
    studio.create()
    studio.until_takes("calm jazz trio, 100 bpm")
    assert "Making the music" in page.evaluate("[...window.stages]")
    assert page.locator("#deck .lane").count() == 2
    page.get_by_role("button", name="Play", exact=True).click()
    studio.until_plays()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    (job, *_) = studio.jobs()
    assert job["result"]["duration"] is None or job["result"]["duration"] == 20


def test_another_take_is_heard_at_the_same_moment(studio: StudioPage) -> None:
    studio.song("slow piano ballad", 20, audio_format="wav")
    result = studio.jobs()[0]["result"]
    takes = [one_channel(studio.audio(path)) for path in result["audio_paths"]]
    studio.page.locator("#listen").focus()
    studio.page.keyboard.press("l")
    studio.page.keyboard.press("k")
    studio.until_plays()
    for key in ("2", "1", "2"):
        studio.page.keyboard.press(key)
        heard = takes[int(key) - 1]

        def is_heard(heard: NDArray[np.float32] = heard) -> bool:
            at, sound = studio.heard()
            return abs(place_of(sound[-6_000:], heard) - at) < 0.15

        until(is_heard, f"take {key} is not heard at the moment that the playhead shows")


def one_channel(file: bytes) -> NDArray[np.float32]:
    """What an analyser hears of a file: the mean of its channels."""
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32")
    assert rate == RATE
    mean: NDArray[np.float32] = samples.mean(axis=1)
    return mean


def place_of(sound: NDArray[np.float32], song: NDArray[np.float32]) -> float:
    """Where in ``song`` a sound of some samples ends, seconds; -100 if it is not in it."""
    size = 1 << (len(song) + len(sound)).bit_length()
    product = np.fft.rfft(song, size) * np.conj(np.fft.rfft(sound, size))
    match = np.fft.irfft(product, size)[: len(song) - len(sound)]
    at = int(match.argmax())
    there = song[at : at + len(sound)]
    likeness = match[at] / max(1e-9, float(np.linalg.norm(there) * np.linalg.norm(sound)))
    return (at + len(sound)) / RATE if likeness > 0.98 else -100.0
