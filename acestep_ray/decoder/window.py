"""Where a source is repainted, and how new music is inserted into it."""

from dataclasses import dataclass

import numpy as np

from acestep_ray.decoder.protocol import DecoderError
from acestep_ray.timebase import SAMPLE_RATE, SAMPLES_PER_FRAME, Samples


@dataclass(frozen=True)
class Window:
    """What is repainted, in samples of the result; a model paints whole latent frames of it."""

    lead: int
    """How far the source is shifted: the length of what is outpainted before it."""
    begin: int
    end: int
    source: int
    """Length of the source."""

    @classmethod
    def of(cls, start: float, end: float | None, source: int) -> "Window":
        """The window from ``start`` to ``end`` seconds of a source of so many samples at 48 kHz.

        None is the source's end. A start below 0 and an end after the source's end outpaint. Raises
        DecoderError if nothing would be repainted, or if there would be a gap between the source
        and the window.
        """
        begin = round(start * SAMPLE_RATE)
        stop = source if end is None else round(end * SAMPLE_RATE)
        lead = max(0, -begin)
        window = cls(lead, begin + lead, stop + lead, source)
        seconds = (
            f"from {start:g} to {stop / SAMPLE_RATE:g} s, and the source is "
            f"{source / SAMPLE_RATE:g} s long."
        )
        if window.begin >= min(window.end, window.samples):
            raise DecoderError(f"The window is empty: it goes {seconds}")
        if begin > source or stop < 0:
            raise DecoderError(f"The window does not touch the source: it goes {seconds}")
        return window

    @property
    def frames(self) -> int:
        """Latents of the result."""
        return sum(self.around, self.source) // SAMPLES_PER_FRAME

    @property
    def samples(self) -> int:
        """Length of the result: whole frames."""
        return self.frames * SAMPLES_PER_FRAME

    @property
    def first(self) -> int:
        """The first latent frame that is repainted."""
        return self.begin // SAMPLES_PER_FRAME

    @property
    def last(self) -> int:
        """The frame after the last one that is repainted: at least one is repainted."""
        last = self.end // SAMPLES_PER_FRAME
        # All of what is before the source is new music: nothing else is there.
        if last * SAMPLES_PER_FRAME < self.lead:
            last += 1
        return max(self.first + 1, min(last, self.frames))

    @property
    def music_end(self) -> int:
        """Where the new music ends. Up to ``end``, the rest stays the source's."""
        return min(self.end, self.last * SAMPLES_PER_FRAME)

    @property
    def around(self) -> tuple[int, int]:
        """Samples of outpainting before and after the source."""
        return self.lead, max(0, self.end - self.lead - self.source)

    def splice(self, source: Samples, music: Samples, longest_fade: int) -> Samples:
        """Insert ``music`` [music_end - begin, 2] into the source [source, 2], both at 48 kHz and
        in [-1, 1], with crossfades of at most so many samples, which are inside the window.

        Outside the window the result [samples, 2] holds exactly the source's samples. Where a
        crossfade reaches beyond the source, it is that of the source's reflection: there is no jump
        at the source's own first and last sample.
        """
        out = np.zeros((self.samples, 2), dtype=np.float32)
        kept = source[: self.samples - self.lead]
        out[self.lead : self.lead + len(kept)] = kept
        begin, end = self.begin, self.music_end
        out[begin:end] = music
        fade = min(longest_fade, (end - begin) // 2)
        # At an edge of the result there is nothing to fade from.
        if begin > 0 and fade:
            rise = _ramp(fade)
            below = _reflected(source, begin - self.lead, fade)
            out[begin : begin + fade] = music[:fade] * rise + below * (1 - rise)
        if end < len(out) and fade:
            fall = _ramp(fade)[::-1]
            below = _reflected(source, end - fade - self.lead, fade)
            out[end - fade : end] = music[-fade:] * fall + below * (1 - fall)
        return out


def _ramp(samples: int) -> Samples:
    """From 0 to 1 without reaching either, [samples, 1]."""
    steps = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) / np.float32(samples)
    return steps[:, np.newaxis]


def _reflected(source: Samples, begin: int, samples: int) -> Samples:
    """So many samples from ``begin`` on of the source, which goes on beyond both of its ends as its
    own reflection."""
    position = np.arange(begin, begin + samples) % (2 * len(source))
    return source[np.minimum(position, 2 * len(source) - 1 - position)]
