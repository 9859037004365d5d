"""The model's velocity, guided, limited and averaged, as one run of the steps uses it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from diffusers import AceStepPipeline
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

from acestep_ray.decoder.diffusers.guidance import MOMENTUM, by_angle, plain, projected
from acestep_ray.decoder.protocol import GuidanceVariant

_TINY = 1e-12


@dataclass(frozen=True)
class Condition:
    """The model's input besides the noise."""

    text: torch.Tensor
    """Lyrics, timbre and text as the cross-attention reads them, [1, tokens, hidden]."""
    context: torch.Tensor
    """Source latents and mask, [1 or takes, frames, 2 * channels]."""


@dataclass(frozen=True)
class Guidance:
    """How closely the condition is followed."""

    scale: float
    """On above 1, and never for turbo models, which have guidance distilled into their weights."""
    interval: tuple[float, float] = (0.0, 1.0)
    """It is applied at the times t in this range, both ends included; noise is t = 1."""
    variant: GuidanceVariant = "apg_classic"
    """How the velocities with and without the condition are combined."""
    norm_threshold: float = 0.0
    """A velocity is at most so many times as long as its latents (norms over a whole take); 0: it
    is not limited."""
    ema_factor: float = 0.0
    """Share of the velocity of the step before, from the second step on."""


@dataclass
class Velocity:
    """The velocities of one run, [takes, frames, channels], and what it keeps between steps."""

    pipeline: AceStepPipeline
    guidance: Guidance
    momentum: MomentumBuffer = field(default_factory=lambda: MomentumBuffer(MOMENTUM))
    before: torch.Tensor | None = None
    """The velocity with which the last step was made. The loop sets it."""

    def first(self, latents: torch.Tensor, time: float, condition: Condition) -> torch.Tensor:
        """That at the beginning of a step."""

        def guide(with_text: torch.Tensor, without: torch.Tensor) -> torch.Tensor:
            scale, variant = self.guidance.scale, self.guidance.variant
            if variant == "apg_classic":
                return projected(with_text, without, scale, self.momentum)
            if variant == "cfg":
                return plain(with_text, without, scale)
            return by_angle(latents, with_text, without, scale, time, variant=variant)

        velocity = self._limited(latents, self._guided(latents, time, condition, guide))
        return velocity if self.before is None else self._averaged(velocity, self.before)

    def second(
        self, latents: torch.Tensor, time: float, condition: Condition, first: torch.Tensor
    ) -> torch.Tensor:
        """That at the end of a step which begins with ``first``, for Heun's method."""

        def guide(with_text: torch.Tensor, without: torch.Tensor) -> torch.Tensor:
            scale, variant = self.guidance.scale, self.guidance.variant
            if variant in ("apg_classic", "cfg") or time <= 0:
                return plain(with_text, without, scale)
            return by_angle(latents, with_text, without, scale, time, variant=variant)

        velocity = self._limited(latents, self._guided(latents, time, condition, guide))
        return self._averaged(velocity, first)

    def _guided(
        self,
        latents: torch.Tensor,
        time: float,
        condition: Condition,
        guide: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """With and without the condition in one batch, combined by ``guide``, if it is on."""
        low, high = self.guidance.interval
        guided = self.guidance.scale > 1 and not self.pipeline.is_turbo
        if not guided or not low <= time <= high:
            return self._of_model(latents, time, condition)
        takes = latents.shape[0]
        text = condition.text.expand(takes, -1, -1)
        nothing = self.pipeline.condition_encoder.null_condition_emb.to(text).expand_as(text)
        context = condition.context.expand(takes, -1, -1)
        both = Condition(torch.cat([text, nothing]), torch.cat([context, context]))
        with_text, without = self._of_model(torch.cat([latents, latents]), time, both).chunk(2)
        return guide(with_text, without)

    def _of_model(self, latents: torch.Tensor, time: float, condition: Condition) -> torch.Tensor:
        takes = latents.shape[0]
        times = torch.full((takes,), time, device=latents.device, dtype=latents.dtype)
        velocity: torch.Tensor = self.pipeline.transformer(
            hidden_states=latents,
            timestep=times,
            timestep_r=times,
            # Contiguous, so that a compiled model has one kind of input for all takes.
            encoder_hidden_states=condition.text.expand(takes, -1, -1).contiguous(),
            context_latents=condition.context.expand(takes, -1, -1).contiguous(),
            return_dict=False,
        )[0]
        return velocity

    def _limited(self, latents: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
        if self.guidance.norm_threshold == 0:
            return velocity
        longest = self.guidance.norm_threshold * _norm(latents)
        factor = (longest / _norm(velocity).clamp_min(_TINY)).clamp_max(1.0)
        return velocity * factor.to(velocity.dtype)

    def _averaged(self, velocity: torch.Tensor, earlier: torch.Tensor) -> torch.Tensor:
        share = self.guidance.ema_factor
        return velocity if share == 0 else (1 - share) * velocity + share * earlier


def _norm(values: torch.Tensor) -> torch.Tensor:
    """Of each take, [takes, 1, 1]."""
    norm: torch.Tensor = torch.linalg.vector_norm(values.float(), dim=(1, 2), keepdim=True)
    return norm
