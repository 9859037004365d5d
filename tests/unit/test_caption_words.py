"""Both mock engines read a caption alike: the same kind of music with or without a plan."""

import numpy as np
import pytest

from acestep_ray.caption_words import read_caption
from acestep_ray.decoder.mock.style import read_style
from acestep_ray.planner.mock.words import bpm_of, keyscale_of, time_signature_of

CAPTIONS = [
    "trap beat",
    "slow trap",
    "heavy metal",
    "a jig",
    "happy drum and bass",
    "lo-fi",
    "samba",
]


@pytest.mark.parametrize("caption", CAPTIONS)
def test_planner_and_decoder_agree(caption: str) -> None:
    low, high = read_caption(caption).tempo
    for seed in range(20):
        band = read_style(caption, seed, None, "", "")
        rng = np.random.Generator(np.random.PCG64(seed))
        assert low <= bpm_of(caption, rng) <= high and low <= band.bpm <= high
        assert str(band.meter) == time_signature_of(caption)
        if read_caption(caption).minor is not None:
            assert band.key.minor == keyscale_of(caption, rng).endswith("minor")


def test_a_key_and_a_tempo_by_name_are_the_same_for_both() -> None:
    caption = "f♯-min ballad, 90 beats per minute"
    band = read_style(caption, 1, None, "", "")
    rng = np.random.Generator(np.random.PCG64(1))
    assert (band.bpm, band.key.tonic, band.key.minor) == (90, 6, True)
    assert (bpm_of(caption, rng), keyscale_of(caption, rng)) == (90, "F# minor")


@pytest.mark.parametrize(
    ("caption", "minor"),
    [("trap", True), ("happy trap", False), ("sad and happy trap", True), ("pop", None)],
)
def test_a_mood_beats_what_a_style_usually_is(caption: str, minor: bool | None) -> None:
    assert read_caption(caption).minor is minor


@pytest.mark.parametrize(
    ("caption", "bpm"), [("29 bpm", None), ("30 bpm", 30), ("300 bpm", 300), ("301 bpm", None)]
)
def test_a_tempo_that_no_engine_accepts_is_not_taken(caption: str, bpm: int | None) -> None:
    assert read_caption(caption).bpm == bpm
