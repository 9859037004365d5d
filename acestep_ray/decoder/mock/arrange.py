"""What each instrument of the band plays in a bar."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from acestep_ray.decoder.mock import melody
from acestep_ray.decoder.mock.form import Bar
from acestep_ray.decoder.mock.lyrics import Syllable
from acestep_ray.decoder.mock.rhythm import Hit, fill
from acestep_ray.decoder.mock.seeding import generator
from acestep_ray.decoder.mock.song import Song
from acestep_ray.decoder.mock.theory import nearest_tone, voicing


@dataclass(frozen=True)
class Note:
    """A note of the band: ``beat`` in the bar and ``length`` in beats, MIDI ``pitch``."""

    beat: float
    length: float
    voice: str
    pitch: int
    gain: float
    pan: float = 0.0
    """-1 is left, 1 right."""


@dataclass(frozen=True)
class Sung:
    """A note of the lead voice."""

    beat: float
    length: float
    syllable: Syllable
    pitch: int


Event = Note | Sung | Hit

_MELODY_LOW = 5  # scale step; the tonic's fifth, about C4 to E4; the range is ten steps up
_VOICE_LOW = 4
_CHORDS_LOW = -2


def events(song: Song, bar: Bar) -> Iterator[Event]:
    """Everything that begins in a bar, always in the same order."""
    # The codes are part of the seed, so other codes give another bar.
    rng = generator(song.identity, "bar", bar.kind, bar.place % 8, song.codes_in(bar))
    degree = song.chord_of(bar)
    singing = tuple(_singing(song, bar, degree))
    yield from _drums(song, bar)
    yield from _bass(song, bar, degree)
    yield from _chords(song, bar, degree, rng)
    yield from singing
    yield from _lead(song, bar, degree, rng, bool(singing))


def _drums(song: Song, bar: Bar) -> Iterator[Hit]:
    level = 0.55 + 0.45 * bar.energy
    loud = song.style.feel not in ("soft", "none")
    if loud and bar.place == 0 and bar.energy >= 0.85:
        yield Hit(0, "crash", 0.5)
    filled = loud and bar.closes and bar.energy > 0.6
    for hit in song.groove:
        held_back = 0.4 if bar.energy < 0.5 and hit.drum in ("snare", "clap") else 1.0
        if not (filled and hit.beat > song.style.meter - 1):
            yield Hit(hit.beat, hit.drum, hit.gain * level * held_back)
    if filled:
        yield from fill(song.style.meter)


def _bass(song: Song, bar: Bar, degree: int) -> Iterator[Note]:
    """Low notes: the loudest on the first beat, then on the other beats, then between beats."""
    style, meter = song.style, song.style.meter
    root = degree - 14 if degree < 4 else degree - 21
    line = "long" if bar.energy < 0.5 else style.bass_line
    if line == "walk":  # root, third, fifth, and a step towards the next
        for beat in range(meter):
            yield _bass_note(song, beat, 0.9, root + (0, 2, 4, 5)[beat % 4])
    elif line == "pulse":
        for beat in range(meter):
            yield _bass_note(song, beat, 0.9 if bar.energy > 0.8 else 0.6, root)
    elif line == "octaves":
        for beat in range(meter):
            yield _bass_note(song, beat, 0.45, root)
            yield _bass_note(song, beat + 0.5, 0.4, root + 7)
    elif line == "fifths":
        half = max(1, meter // 2)
        yield _bass_note(song, 0, half * 0.95, root)
        yield _bass_note(song, half, (meter - half) * 0.9, root + 4)
    elif line == "late":
        yield _bass_note(song, 0, 0.9, root)
        for beat in range(1, meter):
            yield _bass_note(song, beat + 0.5, 0.45, root + (4 if beat == meter - 1 else 0))
    else:
        yield _bass_note(song, 0, meter * 0.95, root)


def _bass_note(song: Song, beat: float, length: float, step: int) -> Note:
    pitch = song.style.key.pitch(step)
    gain = 0.55 if beat == 0 else 0.36 if beat % 1 == 0 else 0.3
    return Note(beat, length, song.style.bass, pitch + 12 if pitch < 28 else pitch, gain)


def _chords(song: Song, bar: Bar, degree: int, rng: np.random.Generator) -> Iterator[Note]:
    style, meter = song.style, song.style.meter
    tones = [style.key.pitch(step) for step in voicing(degree, _CHORDS_LOW)]
    touch = (1.1 + 0.4 * bar.energy) * (1 + 0.04 * (2 * float(rng.random()) - 1))
    if style.pad != "none" and bar.energy >= 0.5 and bar.place % song.chord_bars == 0:
        for pitch, pan in zip(tones, (-0.5, 0.0, 0.5), strict=True):
            yield Note(0, meter * song.chord_bars * 0.97, style.pad, pitch, 0.16, pan)
    if style.comping == "arpeggio":
        run = [*tones, tones[0] + 12, tones[2], tones[1]]
        half = 0.5 if style.bpm <= 190 else 1.0
        for place in range(int(meter / half)):
            gain = 0.34 if place == 0 else 0.27 if place * half % 1 == 0 else 0.19
            pan = 0.35 if place % 2 else -0.35
            yield Note(place * half, half * 1.6, style.chords, run[place % 6], gain * touch, pan)
        return
    for beat, length, gain in _strokes(song, bar):
        for pitch, pan in zip(tones, (-0.35, 0.3, -0.15), strict=True):
            yield Note(beat, length, style.chords, pitch, gain * touch, pan)


def _strokes(song: Song, bar: Bar) -> Iterator[tuple[float, float, float]]:
    """When a chord is struck, how long it rings, and how hard."""
    meter, comping = song.style.meter, song.style.comping
    if song.style.feel == "none":  # no other instrument marks the beat
        for beat in range(meter):
            yield beat, 0.95, 0.17 if beat else 0.26
    elif comping == "strum":
        for beat in range(meter):
            yield beat, 0.6, 0.17 if beat else 0.24
            if bar.energy > 0.5 and song.style.bpm <= 190:
                yield beat + 0.5, 0.45, 0.1
    elif comping == "stab":
        yield 0, 0.4, 0.2
        late = 2 / 3 if song.style.feel == "swing" else 0.5
        for beat in range(meter):
            yield beat + late, 0.35, 0.15
    else:
        half = meter // 2 if meter != 3 else meter
        yield 0, half * 0.95, 0.22
        if half < meter:
            yield half, (meter - half) * 0.95, 0.16


def _lead(
    song: Song, bar: Bar, degree: int, rng: np.random.Generator, singing: bool
) -> Iterator[Note]:
    """The instrument's melody; it pauses while there is singing."""
    if singing:
        return
    style = song.style
    grid = 0.5 if style.bpm <= 150 else 1.0
    # The rhythm of a section repeats every two bars; its pitches only after eight bars.
    rhythms = generator(song.identity, "rhythm", bar.kind, bar.place % 2)
    density = 0.2 + 0.5 * bar.energy * float(rhythms.random())
    onsets = melody.rhythm(rhythms, style.meter, grid, density)
    taken = melody.steps(rng, onsets, degree, _MELODY_LOW)
    for onset, step in zip(onsets, taken, strict=True):
        gain = (0.42 if onset.beat == 0 else 0.36) * (0.6 + 0.4 * bar.energy)
        gain *= 1 + 0.1 * (2 * float(rng.random()) - 1)
        yield Note(onset.beat, onset.length * 0.92, style.lead, style.key.pitch(step), gain, 0.12)


def _singing(song: Song, bar: Bar, degree: int) -> Iterator[Sung]:
    """The syllables of a line that are in this bar, whichever bar the line began in."""
    meter = song.style.meter
    for back in (0, 1):
        start = song.bars[max(0, bar.index - back)]
        if start.index != bar.index - back or start.line_bars <= back:
            continue
        place = generator(song.singer, "line", start.kind, start.place)
        onsets = melody.setting(place, len(start.line), start.line_bars * meter)
        here = [at for at, onset in enumerate(onsets) if back <= onset.beat / meter < back + 1]
        shifted = tuple(
            melody.Onset(onsets[at].beat - back * meter, onsets[at].length) for at in here
        )
        low = _VOICE_LOW - (7 if song.style.deep_voice else 0)
        rng = generator(song.singer, "sung", bar.kind, bar.place % 8, song.codes_in(bar))
        steps = melody.steps(rng, shifted, degree, low)
        for at, onset, step in zip(here, shifted, steps, strict=True):
            # A line ends on a note of the chord.
            resting = nearest_tone(degree, step) if at == len(onsets) - 1 else step
            pitch = song.style.key.pitch(resting)
            yield Sung(onset.beat, onset.length * 0.95, start.line[at], pitch)
