"""Where a source is repainted, and how new music is inserted into it."""

from dataclasses import dataclass

import numpy as np
import torch

from acestep_ray.decoder.protocol import DecoderError
from acestep_ray.timebase import SAMPLE_RATE, SAMPLES_PER_FRAME, Samples


@dataclass(frozen=True)
class Window:
    """What is repainted, in samples of the result; the model paints whole latent frames of it."""

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
        DecoderError if nothing would be repainted.
        """
        begin = round(start * SAMPLE_RATE)
        stop = source if end is None else round(end * SAMPLE_RATE)
        lead = max(0, -begin)
        window = cls(lead, begin + lead, stop + lead, source)
        if window.begin >= min(window.end, window.frames * SAMPLES_PER_FRAME):
            raise DecoderError(
                f"The window is empty: it goes from {start:g} to {stop / SAMPLE_RATE:g} s, and "
                f"the source is {source / SAMPLE_RATE:g} s long."
            )
        return window

    @property
    def frames(self) -> int:
        """Latents of the result."""
        return self._padded // SAMPLES_PER_FRAME

    @property
    def first(self) -> int:
        """The first latent frame that is repainted."""
        return self.begin // SAMPLES_PER_FRAME

    @property
    def last(self) -> int:
        """The frame after the last one that is repainted: at least one is repainted."""
        return max(self.first + 1, min(self.end // SAMPLES_PER_FRAME, self.frames))

    @property
    def _padded(self) -> int:
        return max(self.lead + self.source, self.end)

    def pad(self, source: torch.Tensor) -> torch.Tensor:
        """``source`` [2, n] with silence added for outpainting."""
        after = self._padded - self.lead - self.source
        return torch.nn.functional.pad(source, (self.lead, after))

    def splice(self, padded: Samples, fresh: Samples, longest_fade: int) -> Samples:
        """Insert ``fresh``, the latent frames ``first`` to ``last`` as audio, into the padded
        source, with crossfades of at most so many samples, which are inside the window.

        Both [samples, 2] at 48 kHz, in [-1, 1]. Outside the window the result [frames * 1920, 2]
        holds exactly the source's samples.
        """
        out = padded[: self.frames * SAMPLES_PER_FRAME].copy()
        # If the window is longer than the frames that the model paints, the rest stays the
        # source's.
        begin, end = self.begin, min(self.end, self.last * SAMPLES_PER_FRAME)
        offset = self.first * SAMPLES_PER_FRAME
        music = fresh[begin - offset : end - offset]
        inside = out[begin:end].copy()
        out[begin:end] = music
        # At an edge of the result, and where the window reaches beyond the source, there is nothing
        # to fade from.
        longest = min(longest_fade, (end - begin) // 2)
        if fade := min(longest, self.lead + self.source - begin) if begin > 0 else 0:
            rise = _ramp(fade)
            out[begin : begin + fade] = music[:fade] * rise + inside[:fade] * (1 - rise)
        if fade := min(longest, end - self.lead) if end < len(out) else 0:
            fall = _ramp(fade)[::-1]
            out[end - fade : end] = music[-fade:] * fall + inside[-fade:] * (1 - fall)
        return out


def _ramp(samples: int) -> Samples:
    """From 0 to 1 without reaching either, [samples, 1]."""
    steps = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) / np.float32(samples)
    return steps[:, np.newaxis]
