"""The mock's time stamps of lyrics are the times at which it sings."""

import re

import pytest

from acestep_ray.decoder.mock import MockDecoder
from acestep_ray.decoder.mock.arrange import Sung, events
from acestep_ray.decoder.mock.song import compose
from acestep_ray.decoder.protocol import Sources
from acestep_ray.settings import Mock
from acestep_ray.timebase import SAMPLE_RATE, SAMPLES_PER_FRAME, frames_of_seconds
from tests.unit.decoder.mock.takes import LYRICS, request


def lrc(**changed: object) -> str | None:
    asked = request(**{"lyrics": LYRICS, "lrc": True, **changed})
    (take,) = MockDecoder(Mock(step_seconds=0)).generate(asked, Sources(), lambda *_: None)
    return take.lrc


def times(text: str) -> list[tuple[float, str]]:
    found = [re.fullmatch(r"\[(\d\d):(\d\d\.\d\d)\](.+)", line) for line in text.splitlines()]
    assert all(found)
    return [(60 * int(one[1]) + float(one[2]), one[3]) for one in found if one]


@pytest.mark.parametrize("seconds", [20.0, 40.0])
def test_each_line_is_sung_at_its_time(seconds: float) -> None:
    text = lrc(seconds=seconds)
    assert text is not None
    lines = times(text)
    assert [line for _, line in lines] == LYRICS.split("\n")[:-1]
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)
    asked = request(lyrics=LYRICS, seconds=seconds)
    song = compose(asked, 1, (), frames_of_seconds(seconds) * SAMPLES_PER_FRAME)
    begins = [song.start_of(bar.index) / SAMPLE_RATE for bar in song.bars if bar.line]
    sung = [at for at, line in lines if not line.startswith("[")]
    assert sung == pytest.approx(begins[: len(sung)], abs=0.006)
    for bar in song.bars:
        if bar.line:
            assert any(isinstance(event, Sung) for event in events(song, bar))


def test_lines_after_the_end_have_none() -> None:
    text = lrc(seconds=4.0, bpm=60)
    assert text is not None and 0 < len(times(text)) < 6
    assert max(at for at, _ in times(text)) < 4


def test_nothing_sung_nothing_timed() -> None:
    assert lrc(lyrics="[Instrumental]") is None
    assert lrc(lrc=False) is None
