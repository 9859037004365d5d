"""Songs before they are played: form, chords, melodies, singing."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from acestep_ray.decoder.mock.arrange import Note, Sung, events
from acestep_ray.decoder.mock.form import lay_out
from acestep_ray.decoder.mock.lyrics import parse, syllables
from acestep_ray.decoder.mock.melody import rhythm, setting
from acestep_ray.decoder.mock.rhythm import Hit
from acestep_ray.decoder.mock.song import Song, compose
from acestep_ray.timebase import SAMPLES_PER_FRAME, frames_of_seconds
from tests.unit.decoder.mock.takes import LYRICS, request


def song(seed: int = 1, codes: tuple[int, ...] = (), **changed: Any) -> Song:
    asked = request(**changed)
    return compose(asked, seed, codes, frames_of_seconds(asked.seconds) * SAMPLES_PER_FRAME)


def notes(of: Song) -> list[Note]:
    return [event for bar in of.bars for event in events(of, bar) if isinstance(event, Note)]


def sung(of: Song) -> list[Sung]:
    return [event for bar in of.bars for event in events(of, bar) if isinstance(event, Sung)]


@pytest.mark.parametrize("key", ["C major", "F# minor", "Eb minor", "B major"])
@pytest.mark.parametrize("caption", ["pop", "jazz", "ambient", "metal", "dnb", "reggae"])
def test_every_pitch_is_the_keys(caption: str, key: str) -> None:
    made = song(caption=caption, key_scale=key, lyrics=LYRICS, seconds=40.0)
    played = [note.pitch for note in notes(made)] + [note.pitch for note in sung(made)]
    assert played and {pitch % 12 for pitch in played} <= made.style.key.pitch_classes
    assert min(played) >= 26 and max(played) <= 100


@pytest.mark.parametrize("bpm", [30, 121, 300])
@pytest.mark.parametrize("meter", ["2", "3", "4", "6"])
def test_events_begin_inside_their_bar(bpm: int, meter: str) -> None:
    made = song(bpm=bpm, time_signature=meter, lyrics=LYRICS, seconds=30.0)
    for bar in made.bars:
        for event in events(made, bar):
            assert 0 <= event.beat < int(meter)
            if not isinstance(event, Hit):
                assert event.length > 0
    assert made.start_of(len(made.bars) - 1) < 30 * 48_000 <= made.start_of(len(made.bars))


def test_the_first_beat_has_the_heaviest_stroke() -> None:
    for caption in ("pop", "jazz", "techno", "dnb", "ambient", "lofi"):
        for meter in (2, 3, 4, 6):
            made = song(caption=caption, time_signature=str(meter))
            low = {"kick", "boom"}
            hits = [hit for hit in made.groove if hit.drum in low]
            first = max(hit.gain for hit in hits if hit.beat == 0)
            assert all(hit.gain < 0.8 * first for hit in hits if hit.beat)


def test_each_syllable_gets_a_note_once_a_pass() -> None:
    made = song(lyrics="Hello world this is me\nAll night long", seconds=8.0)
    # 120 bpm: four bars, two for each line.
    assert [note.syllable for note in sung(made)] == [
        *syllables("Hello world this is me", "en"),
        *syllables("All night long", "en"),
    ]


def test_a_short_song_with_many_lines_still_sings_from_the_start() -> None:
    made = song(lyrics="one two three\n" * 40, seconds=4.0)
    assert len(sung(made)) == 6
    assert any(isinstance(event, Sung) for event in events(made, made.bars[0]))


def test_lyrics_are_sung_again_while_there_is_room() -> None:
    once, again = song(lyrics=LYRICS, seconds=24.0), song(lyrics=LYRICS, seconds=120.0)
    assert len(sung(again)) > 2 * len(sung(once)) > 0


def test_who_sings_and_who_plays_alternate() -> None:
    made = song(lyrics=LYRICS, seconds=60.0, caption="rock with a flute")
    for bar in made.bars:
        both = {type(e) for e in events(made, bar) if isinstance(e, Sung) or is_lead(made, e)}
        assert len(both) == 1


def is_lead(made: Song, event: object) -> bool:
    return isinstance(event, Note) and event.voice == made.style.lead


def test_no_lyrics_are_never_sung() -> None:
    for lyrics in ("", "[Instrumental]", "[intro]\n[verse]\n[chorus]"):
        assert sung(song(lyrics=lyrics)) == []


def test_seeds_and_captions_make_other_arrangements() -> None:
    def heard(made: Song) -> set[tuple[int, float, int]]:
        return {
            (bar.index, event.beat, event.pitch)
            for bar in made.bars
            for event in events(made, bar)
            if isinstance(event, Note)
        }

    first = heard(song(seed=1, seconds=30.0))
    assert first == heard(song(seed=1, seconds=30.0))
    for other in (
        *(song(seed=seed, seconds=30.0) for seed in (0, 2, 3, 4294967295)),
        song(caption="upbeat pop song!", seconds=30.0),
        song(caption="ambient", seconds=30.0),
    ):
        shared = first & heard(other)
        assert len(shared) < 0.4 * len(first | heard(other))


def test_other_codes_make_other_bars_and_leave_the_rest() -> None:
    codes = tuple(range(100))
    made, other = song(codes=codes, seconds=20.0), song(codes=(*codes[:-1], 0), seconds=20.0)
    for bar in made.bars[:-1]:
        assert list(events(made, bar)) == list(events(other, bar))
    last = made.bars[-1]
    assert list(events(made, last)) != list(events(other, last))


def test_choruses_are_stronger_than_intros() -> None:
    laid = lay_out(parse("[intro]\n[verse]\na\n[chorus]\nb\n[outro]", "en"), 16, 2.0)
    energy = {bar.kind: bar.energy for bar in laid}
    assert energy["intro"] < energy["verse"] < energy["chorus"]


@pytest.mark.parametrize("bars", [1, 2, 3, 7, 30, 1500])
@pytest.mark.parametrize("lyrics", ["", "a", LYRICS, "[intro]\n[verse]\n[outro]", "x\n" * 300])
def test_a_layout_fills_its_bars(bars: int, lyrics: str) -> None:
    laid = lay_out(parse(lyrics, "en"), bars, 2.0)
    assert [bar.index for bar in laid] == list(range(bars))
    if "\n" not in lyrics and lyrics:
        assert any(bar.line for bar in laid) or bars == 1


def test_rhythms_keep_their_bar_and_begin_on_its_first_beat() -> None:
    for seed in range(50):
        onsets = rhythm(np.random.default_rng(seed), 4, 0.5, seed / 50)
        assert onsets[0].beat == 0
        for onset, after in zip(onsets, [*onsets[1:], None], strict=True):
            end = onset.beat + onset.length
            assert end <= (after.beat if after else 4)


@pytest.mark.parametrize("count", [1, 2, 5, 7, 14, 28, 29, 200])
def test_lines_of_any_length_find_their_notes(count: int) -> None:
    for seed in range(20):
        onsets = setting(np.random.default_rng(seed), count, 8)
        assert len(onsets) == count and onsets[0].beat == 0
        for onset, after in pairwise(onsets):
            assert onset.length > 0 and onset.beat + onset.length <= after.beat + 1e-9
        assert onsets[-1].beat + onsets[-1].length <= 8
