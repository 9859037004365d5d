"""What conditions the model: text, lyrics and timbre, encoded into one sequence."""

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.audio import encode, reference_segments
from acestep_ray.decoder.diffusers.prompt import LYRIC_TOKENS, TEXT_TOKENS, Prompt

TIMBRE_FRAMES = 750
"""Latents of reference audio: 30 s."""


def encode_timbre(pipeline: AceStepPipeline, reference: torch.Tensor | None) -> torch.Tensor:
    """Latents [1, 750, channels] of ``reference`` [2, n]; if there is none, of silence.

    Silence has latents of its own, which come with the model: zeros would make it drone.
    """
    dtype = pipeline.transformer.dtype
    if reference is not None:
        return encode(pipeline.vae, reference_segments(reference), dtype)
    silence: torch.Tensor = pipeline.condition_encoder.silence_latent[:, :TIMBRE_FRAMES]
    return silence.to(pipeline._execution_device, dtype)


def encode_conditions(
    pipeline: AceStepPipeline, prompt: Prompt, timbre: torch.Tensor
) -> torch.Tensor:
    """What the DiT's cross-attention reads, [1, tokens, hidden].

    One row is used for all takes of a job: the DiT has no padding mask, so rows with different
    texts would affect one another.
    """
    device = timbre.device
    encoder = pipeline.condition_encoder
    text, text_mask, lyrics, lyric_mask = pipeline.encode_prompt(
        prompt=prompt.caption,
        lyrics=prompt.lyrics,
        device=device,
        vocal_language=prompt.vocal_language,
        audio_duration=prompt.seconds,
        instruction=prompt.instruction,
        bpm=prompt.bpm,
        keyscale=prompt.key_scale,
        timesignature=prompt.time_signature,
        max_text_length=TEXT_TOKENS,
        max_lyric_length=LYRIC_TOKENS,
    )
    packed, _ = encoder(
        text_hidden_states=text.to(encoder.dtype),
        text_attention_mask=text_mask,
        lyric_hidden_states=lyrics.to(encoder.dtype),
        lyric_attention_mask=lyric_mask,
        refer_audio_acoustic_hidden_states_packed=timbre.to(encoder.dtype),
        refer_audio_order_mask=torch.zeros(1, device=device, dtype=torch.long),
    )
    conditions: torch.Tensor = packed.to(pipeline.transformer.dtype)
    return conditions
