"""DCW, differential correction in the wavelet domain (arXiv 2604.16044), with ACE-Step's values.

After each step the latents are moved away from the clean latents that the step predicts: their slow
part by a strength that falls with the time t, their fast part by one that rises.
"""

from dataclasses import dataclass

import torch

from acestep_ray.decoder.protocol import DcwMode, DecodeParameters


@dataclass(frozen=True)
class Dcw:
    """How latents are corrected. Times are 1 for noise and 0 for music."""

    mode: DcwMode
    scaler: float
    high_scaler: float

    @classmethod
    def of(cls, request: DecodeParameters, *, turbo: bool) -> "Dcw | None":
        """That of a request; None if nothing is corrected."""
        if not request.uses_dcw(turbo=turbo):
            return None
        return cls(request.dcw_mode, request.dcw_scaler, request.dcw_high_scaler)

    def correct(self, latents: torch.Tensor, clean: torch.Tensor, time: float) -> torch.Tensor:
        """``latents`` [takes, frames, channels] after a step that began at ``time``, corrected.

        ``clean``: what the step predicts as the music, of the same shape and type.
        """
        if self.mode == "pix":
            return latents + self.scaler * (latents - clean)
        low, high = self._bands(time)
        return _scale_bands(latents.float(), clean.float(), low, high).to(latents.dtype)

    def _bands(self, time: float) -> tuple[float, float]:
        """The strengths for the slow and the fast part of the latents."""
        match self.mode:
            case "low":
                return time * self.scaler, 0.0
            case "high":
                return 0.0, (1 - time) * self.scaler
            case _:
                return time * self.scaler, (1 - time) * self.high_scaler


def _scale_bands(
    latents: torch.Tensor, clean: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    """Scale the two bands of a one-level Haar transform along time of the difference.

    For a pair of frames, the bands are its mean and half its difference. If there is an odd number
    of frames, the last one is paired with zeros.
    """
    frames = latents.shape[1]
    difference = latents - clean
    even = difference[:, 0::2]
    odd = torch.zeros_like(even)
    odd[:, : frames // 2] = difference[:, 1::2]
    mean = low * (even + odd) / 2
    half = high * (even - odd) / 2
    corrected = latents.clone()
    corrected[:, 0::2] += mean + half
    corrected[:, 1::2] += (mean - half)[:, : frames // 2]
    return corrected
