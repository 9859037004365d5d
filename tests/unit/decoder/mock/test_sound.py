"""The instruments, the voice, the drums and the room."""

import numpy as np
import pytest

from acestep_ray.decoder.mock.drums import DRUMS, KITS, strike
from acestep_ray.decoder.mock.lyrics import Syllable
from acestep_ray.decoder.mock.render import render
from acestep_ray.decoder.mock.room import Room
from acestep_ray.decoder.mock.song import compose
from acestep_ray.decoder.mock.theory import hertz
from acestep_ray.decoder.mock.vocal import sing
from acestep_ray.decoder.mock.voices import TIMBRES, play
from acestep_ray.decoder.mock.wavetable import Wave
from tests.unit.decoder.mock.takes import LYRICS, request


def loudest_near(wave: Wave, frequency: float) -> float:
    """The frequency with the most power within a semitone."""
    spectrum = np.abs(np.fft.rfft(wave.mean(axis=0) * np.hanning(wave.shape[1]), 2**18))
    found = np.fft.rfftfreq(2**18, 1 / 48_000)
    near = (found > frequency / 1.06) & (found < frequency * 1.06)
    return float(found[near][np.argmax(spectrum[near])])


@pytest.mark.parametrize("voice", sorted(TIMBRES))
@pytest.mark.parametrize("pitch", [28, 60, 96])
def test_instruments_are_in_tune_and_end_softly(voice: str, pitch: int) -> None:
    wave = play(voice, pitch, 24_000, 0.0)
    assert wave.dtype == np.float32 and wave.shape[0] in (1, 2) and wave.shape[1] >= 24_000
    assert np.abs(wave).max() > 0.1
    cents = 1200 * np.log2(loudest_near(wave, hertz(pitch)) / hertz(pitch))
    assert abs(cents) < 12
    # No click, neither where it begins nor where it ends.
    assert np.abs(wave[:, 0]).max() < 0.05 and np.abs(wave[:, -1]).max() < 0.01


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_the_shortest_notes_are_played_and_sung(samples: int) -> None:
    for voice in TIMBRES:
        assert np.isfinite(play(voice, 60, samples, 0.5)).all()
    assert np.isfinite(sing(Syllable("a", True), 60, samples, False)).all()


def test_vowels_differ_by_their_formants() -> None:
    def brightness(wave: Wave) -> float:
        power = np.square(np.abs(np.fft.rfft(wave[0])))
        return float((power * np.fft.rfftfreq(wave.shape[1], 1 / 48_000)).sum() / power.sum())

    dark, open_ = (sing(Syllable(v, False), 57, 24_000, False) for v in ("u", "a"))
    assert brightness(open_) > 1.3 * brightness(dark)
    low, high = (sing(Syllable("a", False), 57, 24_000, deep) for deep in (True, False))
    assert brightness(low) < brightness(high)
    assert not np.array_equal(
        sing(Syllable("a", True), 57, 24_000, False), sing(Syllable("a", False), 57, 24_000, False)
    )


@pytest.mark.parametrize("drum", sorted(DRUMS))
def test_drums_strike_at_once_and_die_away(drum: str) -> None:
    for tonic in range(12):
        for kit in range(KITS):
            wave = strike(drum, tonic, kit)
            loudest = np.abs(wave).max()
            assert np.abs(wave[:, : 48 * 12]).max() > 0.5 * loudest
            assert np.abs(wave[:, -1]).max() < 0.02 * loudest


def test_the_room_is_the_same_in_blocks_of_any_size() -> None:
    dry = np.random.default_rng(1).standard_normal((2, 20_000)).astype(np.float32)
    whole, pieces = dry.copy(), dry.copy()
    Room(1.5, 0.2).add_to(whole)
    room, at = Room(1.5, 0.2), 0
    for size in (1, 1446, 1447, 1448, 0, 7000, 8658):
        room.add_to(pieces[:, at : at + size])
        at += size
    assert at == 20_000 and np.array_equal(whole, pieces)


def test_the_room_dies_away() -> None:
    click = np.zeros((2, 96_000), dtype=np.float32)
    click[:, 0] = 1
    Room(1.0, 0.5).add_to(click)
    assert not click[:, 1:1447].any()
    early, late = np.abs(click[:, 1447:9600]).max(), np.abs(click[:, 60_000:]).max()
    assert 0 < late < early / 500


def test_a_part_of_a_song_is_what_the_whole_has_there() -> None:
    song = compose(request(lyrics=LYRICS), 1, (), 480_000)
    whole = render(song, 0, 480_000, lambda: None)
    part = render(song, 200_000, 300_000, lambda: None)
    # What still sounds from more than a bar ago is missing: it is quiet.
    missing = part - whole[200_000:300_000]
    assert np.square(missing).mean() < 0.02 * np.square(part).mean()


def test_a_tick_may_end_the_rendering() -> None:
    ticks: list[int] = []
    song = compose(request(seconds=35.0), 1, (), 35 * 48_000)
    render(song, 0, 35 * 48_000, lambda: ticks.append(1))
    assert len(ticks) == 3

    def stop() -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        render(song, 0, 35 * 48_000, stop)
