"""The mock as an engine: its guarantees for the code that runs it."""

import hashlib
import threading

import numpy as np
import pytest

from acestep_ray.audio.level import PEAK
from acestep_ray.decoder.mock import MockDecoder
from acestep_ray.decoder.protocol import DecodeCancelled, DecoderEngine, DecoderError, Sources
from acestep_ray.settings import Mock
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples
from tests.unit.decoder.mock.takes import LYRICS, request, swell, take, takes


def digest(samples: Samples) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


def test_it_is_an_engine_that_says_it_is_a_mock() -> None:
    engine: DecoderEngine = MockDecoder(Mock(), model="acestep-v15-turbo")
    described = engine.describe()
    assert described.mock and described.turbo and described.engine == "mock"
    assert described.model == "acestep-v15-turbo"
    assert set(described.tasks) == {"text2music", "repaint", "cover", "cover-nofsq"}
    engine.free_memory()


@pytest.mark.parametrize(
    ("seconds", "frames"), [(1.0, 25), (10.0, 250), (16.6, 415), (12.34, 308), (1.039, 25)]
)
def test_a_take_is_its_duration_floored_to_the_frame(seconds: float, frames: int) -> None:
    samples = take(seconds=seconds)
    assert samples.shape == (frames * SAMPLES_PER_FRAME, 2)
    assert samples.dtype == np.float32 and samples.flags.c_contiguous


def test_with_codes_a_take_is_a_fifth_of_a_second_a_code() -> None:
    assert len(take(seconds=99.0, codes=(tuple(range(31)),))) == 31 * 5 * SAMPLES_PER_FRAME


@pytest.mark.parametrize("bpm", [30, 300])
@pytest.mark.parametrize("time_signature", ["2", "3", "4", "6"])
def test_every_legal_tempo_and_metre_gives_finite_sound(bpm: int, time_signature: str) -> None:
    for seconds in (1.0, 7.0):
        samples = take(bpm=bpm, time_signature=time_signature, seconds=seconds, lyrics=LYRICS)
        assert len(samples) == round(seconds * 25) * SAMPLES_PER_FRAME
        assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)
        # There is sound in each second, up to the last, where it fades.
        for second in range(int(seconds)):
            assert np.abs(samples[second * 48_000 : (second + 1) * 48_000]).max() > 0.02


def test_the_peak_is_at_minus_one_decibel() -> None:
    assert np.abs(take(lyrics=LYRICS)).max() == pytest.approx(0.891251, abs=1e-6)


def test_the_same_seed_gives_the_same_bits_whatever_else_runs() -> None:
    asked = request(lyrics=LYRICS, seeds=(7, 8), seconds=6.0)
    alone = [digest(rendered.samples) for rendered in takes(asked)]
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        np.random.seed(number)
        take(caption="metal", seeds=(number,), seconds=2.0)
        found[number] = [digest(rendered.samples) for rendered in takes(asked)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [alone] * 3
    # A take depends on its own seed, not on the takes beside it.
    assert digest(take(lyrics=LYRICS, seeds=(8,), seconds=6.0)) == alone[1]


def test_the_global_generator_is_neither_used_nor_moved() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    take(seconds=2.0)
    assert np.random.random() == expected


def test_takes_come_in_order_each_with_its_seed() -> None:
    asked = request(seeds=(4294967295, 0, 7), seconds=1.0)
    assert [(t.index, t.seed) for t in takes(asked)] == [(0, 4294967295), (1, 0), (2, 7)]


def likeness(one: Samples, other: Samples) -> float:
    """Correlation of the left channels."""
    return float(np.corrcoef(one[:, 0], other[:, 0])[0, 1])


def test_other_seeds_and_captions_are_other_music() -> None:
    first, second = (t.samples for t in takes(request(seeds=(1, 2))))
    assert abs(likeness(first, second)) < 0.9
    for caption in ("solo piano ballad", "techno", "a song about rain"):
        assert abs(likeness(first, take(caption=caption))) < 0.9


def test_codes_steer_the_music_where_they_lie() -> None:
    codes = tuple(range(50))
    plain = take(codes=(codes,))
    changed = take(codes=((*codes[:-1], 63_999),))
    # 120 bpm in 4/4: the last code, from 9.8 s on, is in the bar that begins at 8 s.
    bar = 8 * 48_000
    # Before it only the level may differ: it depends on the peak.
    level = np.abs(changed[:bar]).max() / np.abs(plain[:bar]).max()
    differ = np.abs(plain * level - changed).max(axis=1)
    assert differ[:bar].max() < 1e-5
    assert differ[bar:].max() > 0.01


def test_one_list_of_codes_is_for_all_takes_and_several_are_one_a_take() -> None:
    here, there = tuple(range(25)), tuple(range(100, 125))
    shared = takes(request(codes=(here,), seeds=(1, 1)))
    assert digest(shared[0].samples) == digest(shared[1].samples)
    own = takes(request(codes=(here, there), seeds=(1, 1)))
    assert digest(own[0].samples) == digest(shared[0].samples)
    assert digest(own[1].samples) != digest(own[0].samples)


def test_lyrics_are_sung_and_an_instrumental_is_not() -> None:
    silent = digest(take())
    assert digest(take(lyrics="[Instrumental]")) == silent
    assert digest(take(lyrics="[inst]\n")) == silent
    assert digest(take(lyrics="Hello world")) != silent
    assert digest(take(lyrics="Hello moon")) != digest(take(lyrics="Hello world"))


def test_guidance_and_steps_change_nothing_that_is_heard() -> None:
    assert digest(take(guidance_scale=1.0, steps=5)) == digest(take())


def test_it_reports_before_the_first_step_and_after_each_then_for_each_take() -> None:
    reports: list[tuple[str, int, int]] = []
    engine = MockDecoder(Mock())
    asked = request(steps=3, seeds=(1, 2), seconds=25.0)
    for _ in engine.generate(asked, Sources(), lambda *event: reports.append(event)):
        pass
    assert reports[:4] == [("diffusion", step, 3) for step in range(4)]
    assert all(stage == "vae" and total == 2 for stage, _, total in reports[4:])
    done = [step for _, step, _ in reports[4:]]
    assert done == sorted(done) and set(done) == {0, 1, 2}
    # Long takes can be cancelled half-way.
    assert done.count(0) > 1


@pytest.mark.parametrize("stop", [("diffusion", 0), ("diffusion", 2), ("vae", 0), ("vae", 1)])
def test_what_report_raises_ends_the_work(stop: tuple[str, int]) -> None:
    reports: list[tuple[str, int]] = []

    def report(stage: str, step: int, _total: int) -> None:
        reports.append((stage, step))
        if (stage, step) == stop:
            raise DecodeCancelled

    asked = request(steps=4, seeds=(1, 2), seconds=2.0)
    with pytest.raises(DecodeCancelled):
        list(MockDecoder(Mock()).generate(asked, Sources(), report))
    assert reports[-1] == stop


def test_steps_take_the_time_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("acestep_ray.decoder.mock.engine.time.sleep", slept.append)
    engine = MockDecoder(Mock(step_seconds=1.5))
    list(engine.generate(request(steps=6, seconds=1.0), Sources(), lambda *_: None))
    assert slept == [1.5] * 6


@pytest.mark.parametrize("task", ["lego", "extract", "complete"])
def test_a_base_models_task_is_refused(task: str) -> None:
    with pytest.raises(DecoderError, match=task):
        take(task=task)


@pytest.mark.parametrize("task", ["cover", "cover-nofsq", "repaint"])
def test_a_source_task_without_a_source_is_refused(task: str) -> None:
    with pytest.raises(DecoderError, match="needs source audio"):
        take(task=task)
    with pytest.raises(DecoderError, match="shorter than one frame"):
        take(Sources(source=swell(0.03), source_rate=48_000), task=task)
