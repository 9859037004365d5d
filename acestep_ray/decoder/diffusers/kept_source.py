"""The source around a repainted window, as it is kept while the latents are made."""

from dataclasses import dataclass

import torch

from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.decoder.window import Window


@dataclass(frozen=True)
class KeptSource:
    """Latents of the source, and what they do outside the window."""

    latents: torch.Tensor
    """[1, frames, channels]"""
    window: Window
    style: RepaintStyle

    def injected_steps(self, steps: int) -> int:
        """After how many of the steps, from the first on, the source is put back."""
        return round(self.style.injection * steps)

    def inject(self, latents: torch.Tensor, noise: torch.Tensor, time: float) -> torch.Tensor:
        """``latents`` [takes, frames, channels] with the source outside the window, at ``time``.

        ``noise``: that from which the takes began.
        """
        outside = time * noise + (1 - time) * self.latents
        return torch.where(self._inside(latents), latents, outside)

    def blend(self, latents: torch.Tensor) -> torch.Tensor:
        """The final latents, which become the source's outside the window."""
        frames = self.style.blend_frames
        if frames == 0:
            return latents
        share = self._inside(latents).to(latents.dtype)
        ramp = torch.arange(1, frames + 1, device=latents.device) / (frames + 1)
        ramp = ramp.to(latents.dtype)[:, None]
        first, last = self.window.first, self.window.last
        before = min(frames, first)
        share[:, first - before : first] = ramp[frames - before :]
        after = min(frames, latents.shape[1] - last)
        share[:, last : last + after] = ramp.flip(0)[:after]
        return share * latents + (1 - share) * self.latents

    def _inside(self, latents: torch.Tensor) -> torch.Tensor:
        """Which frames are in the window, [1, frames, 1]."""
        inside = torch.zeros(1, latents.shape[1], 1, dtype=torch.bool, device=latents.device)
        inside[:, self.window.first : self.window.last] = True
        return inside
