"""How loud the new music of a repaint is."""

import numpy as np

from acestep_ray.audio.level import peak_of
from acestep_ray.decoder.mock.loudness import amplify, rms
from acestep_ray.decoder.window import Window
from acestep_ray.timebase import SAMPLE_RATE, SAMPLES_PER_FRAME, Samples

_NEARBY = 3 * SAMPLE_RATE
_USUAL_RMS = 0.1  # -20 dBFS, used if the source is silent
_CEILING = 0.98


def match_level(music: Samples, source: Samples, window: Window) -> None:
    """Scale ``music`` [samples, 2] of the window in place to the level of the source beside it."""
    begin, end = window.begin - window.lead, window.music_end - window.lead
    before = source[max(0, begin - _NEARBY) : max(0, begin)]
    after = source[max(0, end) :][:_NEARBY]
    first, last = _levels(rms(before), rms(after), rms(source))
    frames = -(-len(music) // SAMPLES_PER_FRAME)
    amplify(music, np.linspace(first, last, frames) / max(rms(music), 1e-9))
    music *= np.float32(min(1.0, _CEILING / max(peak_of(music), 1e-9)))


def _levels(before: float, after: float, whole: float) -> tuple[float, float]:
    """RMS at the window's edges: of the adjacent audio, else of the source, else a usual one."""
    usual = whole or _USUAL_RMS
    return before or after or usual, after or before or usual
