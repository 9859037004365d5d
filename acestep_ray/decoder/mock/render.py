"""Plays a song: its events, bar by bar, into samples."""

import math
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from acestep_ray.decoder.mock.arrange import Event, Note, Sung, events
from acestep_ray.decoder.mock.drums import strike
from acestep_ray.decoder.mock.room import Room
from acestep_ray.decoder.mock.song import Song
from acestep_ray.decoder.mock.vocal import sing
from acestep_ray.decoder.mock.voices import play
from acestep_ray.decoder.mock.wavetable import Wave
from acestep_ray.timebase import SAMPLE_RATE, Samples

_KEPT_BYTES = 48_000_000
_TICK = 10 * SAMPLE_RATE
_VOICE_GAIN = 0.3


class _Bus:
    """Sound still to be played, [2, samples]; notes are longer than the bar they begin in."""

    def __init__(self) -> None:
        self._ahead: Wave = np.zeros((2, 0), dtype=np.float32)

    def add(self, at: int, wave: Wave, left: float, right: float) -> None:
        """Add a wave of one or two channels ``at`` samples from now."""
        end = at + wave.shape[1]
        self._reach(end)
        self._ahead[0, at:end] += wave[0] * np.float32(left)
        self._ahead[1, at:end] += wave[-1] * np.float32(right)

    def take(self, samples: int) -> Wave:
        """The next ``samples`` samples; they are removed from the bus."""
        self._reach(samples)
        taken = self._ahead[:, :samples]
        self._ahead = self._ahead[:, samples:].copy()
        return taken

    def _reach(self, end: int) -> None:
        short = end - self._ahead.shape[1]
        if short > 0:
            more = np.zeros((2, short + SAMPLE_RATE), dtype=np.float32)
            self._ahead = np.concatenate([self._ahead, more], axis=1)


class _Notes:
    """Notes played before, because a song repeats most of them; the oldest are removed."""

    def __init__(self, song: Song) -> None:
        self._song = song
        self._kept: OrderedDict[tuple[object, ...], Wave] = OrderedDict()
        self._bytes = 0

    def wave(self, event: Note | Sung) -> Wave:
        """The sound of a note, without its gain."""
        samples = round(event.length * self._song.beat_samples)
        kind = event.voice if isinstance(event, Note) else event.syllable
        name = (kind, event.pitch, samples)
        wave = self._kept.get(name)
        if wave is not None:
            self._kept.move_to_end(name)
            return wave
        if isinstance(event, Note):
            wave = play(event.voice, event.pitch, samples, self._song.tilt)
        else:
            wave = sing(event.syllable, event.pitch, samples, self._song.style.deep_voice)
        self._kept[name] = wave
        self._bytes += wave.nbytes
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return wave


class _Players:
    """Puts events on the two buses: the band, which has reverberation, and the dry drums."""

    def __init__(self, song: Song) -> None:
        self._song = song
        self._notes = _Notes(song)
        self.band = _Bus()
        self.drums = _Bus()

    def put(self, event: Event) -> None:
        """Put an event of the current bar on its bus."""
        at = round(event.beat * self._song.beat_samples)
        if isinstance(event, Note):
            left, right = math.sqrt((1 - event.pan) / 2), math.sqrt((1 + event.pan) / 2)
            self.band.add(at, self._notes.wave(event), event.gain * left, event.gain * right)
        elif isinstance(event, Sung):
            self.band.add(at, self._notes.wave(event), _VOICE_GAIN, _VOICE_GAIN)
        else:
            style = self._song.style
            wave = strike(event.drum, style.key.tonic, style.kit)
            self.drums.add(at, wave, event.gain, event.gain)


def render(song: Song, begin: int, end: int, tick: Callable[[], None]) -> Samples:
    """The samples from ``begin`` to ``end`` of a song at 48 kHz, [end - begin, 2].

    Besides the result, it needs memory for about two bars and 50 MB of notes. ``tick`` is called
    about every ten seconds of music; an exception from it ends the rendering. The peak is not
    fixed: the caller sets the level.
    """
    out = np.zeros((end - begin, 2), dtype=np.float32)
    players = _Players(song)
    room = Room(seconds=2.2 if song.style.feel in ("soft", "none") else 1.3, wet=0.16)
    # One bar earlier, for notes that still sound when the piece begins.
    first = max(0, song.ends_at(begin + 1) - 2)
    for bar in song.bars[first : song.ends_at(end)]:
        start, stop = song.start_of(bar.index), song.start_of(bar.index + 1)
        for event in events(song, bar):
            players.put(event)
        block = players.band.take(stop - start)
        room.add_to(block)  # without reverberation on the drums the beat stays sharp
        block += players.drums.take(stop - start)
        low, high = max(start, begin), min(stop, end)
        if low < high:
            out[low - begin : high - begin] = block[:, low - start : high - start].T
        if stop // _TICK != start // _TICK:
            tick()
    return out
