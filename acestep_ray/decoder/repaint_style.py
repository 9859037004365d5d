"""How a repaint keeps its source: the numbers behind ``repaint_mode`` and ``repaint_strength``."""

from dataclasses import dataclass

from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.timebase import SAMPLE_RATE

_BLEND_FRAMES = 25
_FADE_SECONDS = 0.05
"""ACE-Step's numbers for the most careful repaint."""
_FREE_FADE = 1440
"""Samples (30 ms), for the mode aggressive, in which the source does not hold the music."""
_SHORTEST_FADE = 480
"""Samples (10 ms). ACE-Step fades less the freer a repaint is, at last not at all: a click."""


@dataclass(frozen=True)
class RepaintStyle:
    """What holds new music to its source."""

    injection: float
    """Share of the steps, from the first on, after which everything outside the window becomes the
    source again."""
    blend_frames: int
    """Latent frames outside each edge in which the final latents become those of the source; the
    latents beyond are the source's. 0: all latents are the model's."""
    fade: int
    """Samples of the crossfade at each edge, inside the window."""

    @classmethod
    def of(cls, request: DecodeParameters) -> "RepaintStyle":
        """That of a request."""
        match request.repaint_mode:
            case "aggressive":
                return cls(0.0, 0, _FREE_FADE)
            case "conservative":
                kept = 1.0
            case "balanced":
                kept = 1 - request.repaint_strength
        fade = max(_SHORTEST_FADE, int(_FADE_SECONDS * kept * SAMPLE_RATE))
        return cls(kept, round(_BLEND_FRAMES * kept), fade)
