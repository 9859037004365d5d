"""Which part is repainted, and how new music is inserted into the source."""

from dataclasses import dataclass

import numpy as np

from acestep_ray.audio.level import peak_of
from acestep_ray.decoder.mock.loudness import amplify, rms
from acestep_ray.timebase import SAMPLE_RATE, SAMPLES_PER_FRAME, Samples

_NEARBY = 3 * SAMPLE_RATE
_USUAL_RMS = 0.1  # -20 dBFS, used if the source is silent
_CEILING = 0.98


@dataclass(frozen=True)
class Window:
    """What is repainted, in samples of the result."""

    lead: int
    """How far the source is shifted: the length of what is outpainted before it."""
    begin: int
    end: int
    total: int
    """Length of the result: whole frames."""


def window_of(start: float, end: float | None, source: int) -> Window:
    """The window for seconds ``start`` to ``end`` (None: the source's end) of a source.

    ``source`` is its length in samples at 48 kHz. A start below 0 and an end after the source's end
    outpaint. Raises ValueError if nothing would be repainted.
    """
    stop = source if end is None else round(end * SAMPLE_RATE)
    # What is between the source's end and a window after it is repainted, too.
    begin = min(round(start * SAMPLE_RATE), source)
    lead = max(0, -begin)
    total = (max(source, stop) + lead) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
    window = Window(lead, begin + lead, min(stop + lead, total), total)
    if window.begin >= window.end:
        raise ValueError(
            f"The repaint window is empty: it starts at {start:g} s and the source "
            f"ends at {source / SAMPLE_RATE:g} s."
        )
    return window


def splice(source: Samples, music: Samples, window: Window, longest_fade: int) -> Samples:
    """Insert ``music`` [window's samples, 2] into ``source`` [samples, 2], at the source's level,
    with crossfades of at most so many samples, which are inside the window.

    Outside the window the result [window.total, 2] holds exactly the source's samples. ``music`` is
    scaled in place.
    """
    out = np.zeros((window.total, 2), dtype=np.float32)
    kept = source[: window.total - window.lead]
    out[window.lead : window.lead + len(kept)] = kept
    before = out[max(window.lead, window.begin - _NEARBY) : window.begin]
    after = out[window.end : min(window.end + _NEARBY, window.lead + len(kept))]
    inside = out[window.begin : window.end]
    first, last = _levels(rms(before), rms(after), rms(source))
    frames = -(-len(music) // SAMPLES_PER_FRAME)
    amplify(music, np.linspace(first, last, frames) / max(rms(music), 1e-9))
    music *= np.float32(min(1.0, _CEILING / max(peak_of(music), 1e-9)))
    fade = min(longest_fade, len(music) // 4)
    ramp = (np.arange(fade, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, fade))
    rise = ramp[:, np.newaxis]
    # At an edge of the result there is nothing to fade from.
    if window.begin > 0 and fade:
        music[:fade] = music[:fade] * rise + inside[:fade] * (1 - rise)
    if window.end < window.total and fade:
        music[-fade:] = music[-fade:] * rise[::-1] + inside[-fade:] * (1 - rise[::-1])
    inside[:] = music
    return out


def _levels(before: float, after: float, whole: float) -> tuple[float, float]:
    """RMS at the window's edges: of the adjacent audio, else of the source, else a usual one."""
    usual = whole or _USUAL_RMS
    return before or after or usual, after or before or usual
