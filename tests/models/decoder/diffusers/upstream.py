"""ACE-Step's own rules, written out for cases in which ``AceStepPipeline.__call__`` differs."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.protocol import DecodeRequest

TEXT2MUSIC = "Fill the audio semantic mask based on the given conditions:"
COVER = "Generate audio semantic tokens based on the given conditions:"
REPAINT = "Repaint the mask area based on the given conditions:"


@dataclass
class Side:
    """One condition: text with its instruction, and source latents beside a mask."""

    instruction: str
    context: torch.Tensor
    seconds: float | None = None
    """The length in the text, if that is not the result's."""


def silence(pipeline: AceStepPipeline, frames: int) -> torch.Tensor:
    """[1, frames, 64]"""
    latents: torch.Tensor = pipeline.condition_encoder.silence_latent[:, :frames]
    return latents


def lengthened(pipeline: AceStepPipeline, latents: torch.Tensor) -> torch.Tensor:
    """At least 128 frames: filled up with the first frames of silence."""
    missing = max(0, 128 - latents.shape[1])
    rows = [silence(pipeline, missing)] * latents.shape[0]
    return torch.cat([latents, torch.cat(rows)], dim=1)


def all_of(latents: torch.Tensor) -> torch.Tensor:
    """With a mask of ones."""
    return torch.cat([latents, torch.ones_like(latents)], dim=-1)


@torch.no_grad()
def upstream(
    pipeline: AceStepPipeline,
    asked: DecodeRequest,
    noise: torch.Tensor,
    frames: int,
    side: Side,
    *,
    plain: Side | None = None,
) -> torch.Tensor:
    """Latents [takes, frames, 64] from noise [takes, max(frames, 128), 64]."""
    condition = encoded(pipeline, asked, side, frames)
    context = side.context
    steps = asked.steps
    times = [_time(step / steps, asked.shift) for step in range(steps + 1)]
    latents = noise
    running: Any = 0
    for step in range(steps):
        if plain is not None and step == int(steps * asked.cover_strength):
            condition = encoded(pipeline, asked, plain, frames)
            context = plain.context
        t = times[step]
        velocity = velocity_of(pipeline, latents, t, condition, context)
        start, end = asked.cfg_interval
        if asked.guidance_scale > 1 and not pipeline.is_turbo and start <= t <= end:
            nothing = pipeline.condition_encoder.null_condition_emb.expand_as(condition)
            without = velocity_of(pipeline, latents, t, nothing, context)
            running = velocity - without - 0.75 * running
            length = running.norm(dim=1, keepdim=True)
            update = (running * torch.clamp(2.5 / length, max=1)).double()
            along = torch.nn.functional.normalize(velocity.double(), dim=1)
            update = update - (update * along).sum(dim=1, keepdim=True) * along
            velocity = velocity + (asked.guidance_scale - 1) * update.to(velocity.dtype)
        latents = latents - (t - times[step + 1]) * velocity
    return latents[:, :frames]


def _time(done: float, shift: float) -> float:
    t = 1 - done
    return shift * t / (1 + (shift - 1) * t)


def encoded(
    pipeline: AceStepPipeline, asked: DecodeRequest, side: Side, frames: int
) -> torch.Tensor:
    device = pipeline.transformer.device
    text, text_mask, lyrics, lyric_mask = pipeline.encode_prompt(
        prompt=asked.caption,
        lyrics=asked.lyrics,
        device=device,
        vocal_language=asked.vocal_language,
        audio_duration=frames / 25 if side.seconds is None else side.seconds,
        instruction=side.instruction,
        bpm=asked.bpm,
        keyscale=asked.key_scale,
        timesignature=asked.time_signature,
    )
    condition: torch.Tensor
    condition, _ = pipeline.condition_encoder(
        text_hidden_states=text,
        text_attention_mask=text_mask,
        lyric_hidden_states=lyrics,
        lyric_attention_mask=lyric_mask,
        refer_audio_acoustic_hidden_states_packed=silence(pipeline, 750),
        refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=device),
    )
    return condition


def velocity_of(
    pipeline: AceStepPipeline,
    latents: torch.Tensor,
    t: float,
    condition: torch.Tensor,
    context: torch.Tensor,
) -> torch.Tensor:
    takes = latents.shape[0]
    time = torch.full((takes,), t, device=latents.device)
    velocity: torch.Tensor = pipeline.transformer(
        hidden_states=latents,
        timestep=time,
        timestep_r=time,
        encoder_hidden_states=condition.expand(takes, -1, -1),
        context_latents=context.expand(takes, -1, -1),
        return_dict=False,
    )[0]
    return velocity
