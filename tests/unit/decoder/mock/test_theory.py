"""Keys and chords."""

import pytest

from acestep_ray.decoder.mock.theory import (
    PROGRESSIONS,
    Key,
    find_key,
    hertz,
    nearest_tone,
    triad,
    voicing,
)


@pytest.mark.parametrize(
    ("name", "tonic", "minor"),
    [
        ("C major", 0, False),
        ("F# minor", 6, True),
        ("F♯ minor", 6, True),
        ("B♭ major", 10, False),
        ("Cb major", 11, False),
        ("B# minor", 0, True),
        ("a song in E minor, please", 4, True),
    ],
)
def test_keys_are_read_as_the_model_spells_them(name: str, tonic: int, minor: bool) -> None:
    assert find_key(name) == Key(tonic, minor)


@pytest.mark.parametrize("text", ["", "H major", "c major", "C", "a major hit", "Cmajor"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert find_key(text) is None


def test_scales_hold_the_keys_pitches_in_every_octave() -> None:
    assert Key(0, False).pitch_classes == {0, 2, 4, 5, 7, 9, 11}
    assert Key(6, True).pitch_classes == {6, 8, 9, 11, 1, 2, 4}
    assert Key(9, True).pitch_classes == Key(0, False).pitch_classes
    for tonic in range(12):
        for minor in (False, True):
            key = Key(tonic, minor)
            pitches = [key.pitch(step) for step in range(-21, 22)]
            assert pitches == sorted(set(pitches))
            assert {pitch % 12 for pitch in pitches} == key.pitch_classes
            assert 55 <= key.pitch(0) <= 66 and key.pitch(0) % 12 == tonic
            assert key.pitch(7) == key.pitch(0) + 12


def test_a_is_440_hertz() -> None:
    assert hertz(69) == 440
    assert hertz(60) == pytest.approx(261.6256, abs=1e-3)


def test_chords_are_stacked_thirds_and_none_is_diminished() -> None:
    for minor, loops in PROGRESSIONS.items():
        key = Key(0, minor)
        for degree in {degree for loop in loops for degree in loop}:
            root, third, fifth = (key.pitch(step) for step in triad(degree))
            assert third - root in (3, 4) and fifth - root == 7


def test_voicings_stay_in_their_octave() -> None:
    for degree in range(7):
        tones = voicing(degree, -2)
        assert len(tones) == 3 and -2 <= tones[0] < tones[1] < tones[2] < 5
        assert {tone % 7 for tone in tones} == {tone % 7 for tone in triad(degree)}


def test_the_nearest_tone_is_the_chords_and_near() -> None:
    for degree in range(7):
        for step in range(-10, 20):
            tone = nearest_tone(degree, step)
            assert tone % 7 in {near % 7 for near in triad(degree)}
            assert abs(tone - step) <= 2
