"""The mock's metadata follows a caption's words, so that a new user hears what they requested."""

import numpy as np
import pytest

from acestep_ray.planner.mock.words import bpm_of, keyscale_of, time_signature_of


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def modes(caption: str) -> set[str]:
    return {keyscale_of(caption, rng(seed)).split()[1] for seed in range(30)}


@pytest.mark.parametrize(
    ("caption", "low", "high"),
    [
        ("a slow ballad", 40, 80),
        ("Very slow ambient drone", 40, 60),
        ("SLOW rock", 40, 80),  # a word about tempo is stronger than one about style
        ("mid-tempo soul", 90, 112),
        ("upbeat pop song", 110, 130),
        ("fast punk", 140, 170),
        ("presto, for strings", 168, 200),
        ("drum and bass", 170, 178),
        ("drum & bass", 170, 178),
        ("deep house", 118, 128),
        ("lo-fi hip-hop beats", 60, 90),
        ("a viennese waltz", 84, 110),
    ],
)
def test_tempo_words_give_the_tempo(caption: str, low: int, high: int) -> None:
    tempos = {bpm_of(caption, rng(seed)) for seed in range(30)}
    assert low <= min(tempos) <= max(tempos) <= high
    assert len(tempos) > 1, "seeds should differ"


@pytest.mark.parametrize(
    ("caption", "bpm"),
    [
        ("slow, 128 bpm", 128),
        ("174BPM jungle", 174),
        ("90-bpm groove", 90),
        ("at 76 beats per minute", 76),
        ("999 bpm, or rather 120 bpm", 120),
    ],
)
def test_a_tempo_in_numbers_is_taken(caption: str, bpm: int) -> None:
    assert bpm_of(caption, rng(0)) == bpm


def test_a_number_that_is_no_tempo_is_not_taken() -> None:
    assert 58 <= bpm_of("slow song from 1999, 5 bpm", rng(0)) <= 76


@pytest.mark.parametrize(
    ("caption", "key"),
    [
        ("a ballad in D minor", "D minor"),
        ("happy song in f# minor", "F# minor"),
        ("C# minor trance", "C# minor"),
        ("E flat major fanfare", "Eb major"),
        ("A flat major fanfare", "Ab major"),
        ("song in A minor", "A minor"),
        ("song in a minor", "A minor"),
        ("key: A major", "A major"),
        ("ballad, Am, 70 bpm", "A minor"),
        ("B♭ major swing", "Bb major"),
        ("piano, c-minor", "C minor"),
    ],
)
def test_a_key_by_name_is_taken(caption: str, key: str) -> None:
    assert {keyscale_of(caption, rng(seed)) for seed in range(10)} == {key}


@pytest.mark.parametrize(
    "caption", ["sad piano", "melancholic", "in a minor key", "A minor setback", "dark techno"]
)
def test_sad_words_give_minor(caption: str) -> None:
    assert modes(caption) == {"minor"}
    assert len({keyscale_of(caption, rng(seed)) for seed in range(30)}) > 1


@pytest.mark.parametrize("caption", ["happy ukulele", "A major hit", "joyful", "i am happy"])
def test_happy_words_give_major(caption: str) -> None:
    assert modes(caption) == {"major"}


@pytest.mark.parametrize("caption", ["", "piano", "sad but happy", "Am I dreaming", "I am here"])
def test_without_a_clear_mood_either_will_do(caption: str) -> None:
    assert modes(caption) == {"major", "minor"}


@pytest.mark.parametrize(
    ("caption", "beats"),
    [
        ("a waltz", "3"),
        ("pop in 3/4", "3"),
        ("6/8 shuffle", "6"),
        ("an Irish jig", "6"),
        ("military march", "2"),
        ("waltz in 4/4", "4"),
        ("rock", "4"),
        ("5/4 jazz", "4"),
        ("recorded 13/4/2020", "4"),
        ("", "4"),
    ],
)
def test_metre(caption: str, beats: str) -> None:
    assert time_signature_of(caption) == beats
