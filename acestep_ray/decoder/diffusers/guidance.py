"""Three ways to combine the model's velocities with and without the condition.

All tensors are [takes, frames, channels]; the guidance scale is above 1.
"""

import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from acestep_ray.decoder.protocol import GuidanceVariant

MOMENTUM = -0.75
NORM_THRESHOLD = 2.5
"""Of adaptive projected guidance (arXiv 2410.02416), with ACE-Step's values."""

WIDEST_TURN = 3.14 / 6
"""Radians by which angle-based guidance turns a frame at most; ACE-Step's value."""

WIDEST_TURN_WITH_NORM = 3.14 / 3
"""The same for the variant that keeps the norm."""

_SAME_DIRECTION = 1e-3
_ALMOST_ONE = 1 - 1e-6


def plain(with_text: torch.Tensor, without: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance."""
    return without + scale * (with_text - without)


def projected(
    with_text: torch.Tensor, without: torch.Tensor, scale: float, momentum: MomentumBuffer
) -> torch.Tensor:
    """Adaptive projected guidance (APG). ``momentum`` belongs to one run and is changed."""
    velocity: torch.Tensor = normalized_guidance(
        pred_cond=with_text,
        pred_uncond=without,
        guidance_scale=scale - 1,
        momentum_buffer=momentum,
        eta=0.0,
        norm_threshold=NORM_THRESHOLD,
        use_original_formulation=True,
        norm_dim=(1,),
    )
    return velocity


def by_angle(
    latents: torch.Tensor,
    with_text: torch.Tensor,
    without: torch.Tensor,
    scale: float,
    time: float,
    *,
    variant: GuidanceVariant = "adg",
) -> torch.Tensor:
    """Angle-based dynamic guidance (ADG) at a ``time`` above 0.

    ``variant``: adg_w_norm may turn further, and keeps the norm over time of the prediction with
    text; adg_wo_clip may turn as far as it likes.

    Both velocities predict clean latents. Each frame of the prediction with text is turned away
    from that without, by the angle between them times the scale, but not too far. Angles have 64
    bits, projections 32, as in ACE-Step's code.
    """
    weight = max(scale - 1, 0.0) + 0.001
    start = latents.float()
    aim = start - time * with_text.float()
    away = start - time * without.float()
    cosine = torch.nn.functional.cosine_similarity(aim.double(), away.double(), dim=-1)
    angle = torch.acos(cosine.clamp(-_ALMOST_ONE, _ALMOST_ONE)).unsqueeze(-1)
    turn = weight * angle
    if variant != "adg_wo_clip":
        widest = WIDEST_TURN_WITH_NORM if variant == "adg_w_norm" else WIDEST_TURN
        turn = turn.clamp(-widest, widest)
    across = aim - away
    unit = torch.nn.functional.normalize(away, dim=-1)
    across = across - (across * unit).sum(dim=-1, keepdim=True) * unit
    sine = torch.sin(angle)
    apart = sine > _SAME_DIRECTION
    share = torch.where(apart, torch.sin(turn) / torch.where(apart, sine, 1.0), weight)
    clean = torch.cos(turn) * aim.double() + across.double() * share
    if variant == "adg_w_norm":
        kept = torch.linalg.vector_norm(aim.double(), dim=1, keepdim=True)
        clean = clean * kept / torch.linalg.vector_norm(clean, dim=1, keepdim=True)
    return ((start.double() - clean) / time).to(with_text.dtype)
