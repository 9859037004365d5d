"""The canvas of each task: source latents, the mask, and how long the piece is."""

from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.audio import encode, is_silent
from acestep_ray.decoder.diffusers.encodings import Encodings
from acestep_ray.decoder.diffusers.kept_source import KeptSource
from acestep_ray.decoder.protocol import COVER_TASKS, DecodeRequest, DecoderError
from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.decoder.window import Window
from acestep_ray.timebase import (
    FRAMES_PER_SECOND,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    frames_of_seconds,
)

SHORTEST = 128
"""Frames: upstream pads anything shorter with silence, and cuts the padding off afterwards."""


@dataclass(frozen=True)
class Repainted:
    """The source that stays around a repainted window."""

    window: Window
    source: torch.Tensor
    """[2, samples]."""
    kept: KeptSource
    """The same as latents."""


@dataclass(frozen=True)
class Canvas:
    """What the decoder fills for a job's takes."""

    context: torch.Tensor
    """Source latents and mask, [1 or takes, max(frames, SHORTEST), 2 * channels]."""
    frames: int
    """Latents of the result."""
    seconds: float
    """The length that the prompt names: the result's, but for outpainting the source's, as in
    upstream."""
    begin: torch.Tensor | None
    """Latents that ``cover_noise_strength`` mixes into the noise, [1 or takes, frames, channels];
    None: there are none."""
    cover: bool
    """Whether the source is a melody to follow, as far as ``cover_strength`` specifies."""
    repainted: Repainted | None = None


def canvas_for(
    pipeline: AceStepPipeline,
    request: DecodeRequest,
    source: torch.Tensor | None,
    encodings: Encodings,
    digest: str = "",
) -> Canvas:
    """The canvas of a request; ``source`` [2, n] at 48 kHz. Raises DecoderError.

    ``encodings``: where the latents of sources are kept, by the ``digest`` of what was sent.
    """
    if request.codes:
        return _codes_canvas(pipeline, request.codes)
    if request.task == "text2music" and not request.edits_flow:
        frames = frames_of_seconds(request.seconds)
        if frames < 1:
            raise DecoderError(f"{request.seconds:g} s is shorter than one frame (40 ms).")
        return Canvas(
            silent_context(pipeline, frames),
            frames,
            frames / FRAMES_PER_SECOND,
            begin=None,
            cover=False,
        )
    if source is None:
        raise DecoderError(f"The task {request.task} needs source audio.")
    if source.shape[-1] < SAMPLES_PER_FRAME:
        raise DecoderError("The source audio is shorter than one frame (40 ms).")
    if request.task in ("repaint", "lego"):
        return _window_canvas(pipeline, request, source, encodings, digest)
    frames = source.shape[-1] // SAMPLES_PER_FRAME
    latents = encodings.get(
        ("source", digest) if digest else None, lambda: _source_latents(pipeline, source, frames)
    )
    if request.task == "text2music":
        # Flow-edit: with the source as context, its latents would fall together.
        seconds = frames / FRAMES_PER_SECOND
        silent = silent_context(pipeline, frames)
        return Canvas(silent, frames, seconds, begin=latents, cover=False)
    # What a cover begins with is its source, also if it follows only what the codes keep of it.
    heard = _as_codes_and_back(pipeline, latents) if request.task == "cover" else latents
    return Canvas(
        _with_mask(heard),
        frames,
        frames / FRAMES_PER_SECOND,
        begin=latents,
        cover=request.task in COVER_TASKS,
    )


def silent_context(pipeline: AceStepPipeline, frames: int) -> torch.Tensor:
    """An empty canvas, all of it to be painted: text2music starts from it."""
    return _with_mask(_silence(pipeline, max(frames, SHORTEST)))


def _window_canvas(
    pipeline: AceStepPipeline,
    request: DecodeRequest,
    source: torch.Tensor,
    encodings: Encodings,
    digest: str,
) -> Canvas:
    """For repaint the latents inside the window are silence; for lego they are the source's."""
    window = Window.of(request.repaint_start, request.repaint_end, source.shape[-1])
    padded = torch.nn.functional.pad(source, window.around)
    latents = encodings.get(
        ("source", digest, window.around) if digest else None,
        lambda: _source_latents(pipeline, padded, window.frames),
    )
    mask = torch.zeros_like(latents)
    mask[:, window.first : window.last] = 1
    repainted = None
    if request.task == "repaint":
        kept = KeptSource(latents, window, RepaintStyle.of(request))
        repainted = Repainted(window, source, kept)
        latents = torch.where(mask > 0, _silence(pipeline, latents.shape[1]), latents)
    shown = mask if request.shows_window else torch.ones_like(mask)
    return Canvas(
        torch.cat([latents, shown], dim=-1),
        window.frames,
        source.shape[-1] / SAMPLE_RATE,
        begin=latents,
        cover=False,
        repainted=repainted,
    )


def _codes_canvas(pipeline: AceStepPipeline, codes: tuple[tuple[int, ...], ...]) -> Canvas:
    """Audio codes, five latents each; one sequence for all takes, or one per take."""
    if pipeline.audio_tokenizer is None:
        raise DecoderError("This model has no audio tokenizer, so it cannot use audio codes.")
    lengths = {len(sequence) for sequence in codes}
    if 0 in lengths:
        raise DecoderError("There are no audio codes to make music of.")
    if len(lengths) != 1:
        raise DecoderError(
            f"The takes' audio codes differ in length ({', '.join(map(str, sorted(lengths)))}): "
            "send codes of one length, or one job for each."
        )
    known = pipeline.audio_tokenizer.quantizer.codebook_size
    if unknown := {code for sequence in codes for code in sequence if not 0 <= code < known}:
        raise DecoderError(f"There is no audio code {min(unknown)}: they go from 0 to {known - 1}.")
    latents, frames = pipeline.prepare_src_latents(
        device=pipeline._execution_device,
        dtype=pipeline.transformer.dtype,
        batch_size=len(codes),
        audio_codes=["".join(f"<|audio_code_{code}|>" for code in row) for row in codes],
    )
    latents = _lengthened(pipeline, latents)
    seconds = frames / FRAMES_PER_SECOND
    return Canvas(_with_mask(latents), frames, seconds, begin=latents, cover=True)


def _source_latents(pipeline: AceStepPipeline, source: torch.Tensor, frames: int) -> torch.Tensor:
    """Latents of audio [2, n], lengthened; if the audio is silent, the latents of silence."""
    if is_silent(source):
        return _silence(pipeline, max(frames, SHORTEST))
    return _lengthened(pipeline, encode(pipeline.vae, source, pipeline.transformer.dtype))


def _as_codes_and_back(pipeline: AceStepPipeline, latents: torch.Tensor) -> torch.Tensor:
    """What a cover keeps of its source: what the audio codes can represent."""
    if pipeline.audio_tokenizer is None:
        raise DecoderError("This model has no audio tokenizer, so it cannot make covers.")
    silence = pipeline.condition_encoder.silence_latent.to(latents.device, latents.dtype)
    quantized, _ = pipeline.audio_tokenizer.tokenize(latents, silence)
    back: torch.Tensor = pipeline.audio_token_detokenizer(quantized)
    return back[:, : latents.shape[1]].to(latents.dtype)


def _lengthened(pipeline: AceStepPipeline, latents: torch.Tensor) -> torch.Tensor:
    missing = SHORTEST - latents.shape[1]
    if missing <= 0:
        return latents
    silence = _silence(pipeline, missing).expand(latents.shape[0], -1, -1)
    return torch.cat([latents, silence], dim=1)


def _silence(pipeline: AceStepPipeline, frames: int) -> torch.Tensor:
    silence: torch.Tensor
    silence, _ = pipeline.prepare_src_latents(
        device=pipeline._execution_device,
        dtype=pipeline.transformer.dtype,
        latent_length=frames,
    )
    return silence


def _with_mask(latents: torch.Tensor) -> torch.Tensor:
    """With a mask of ones: everything is to be painted."""
    return torch.cat([latents, torch.ones_like(latents)], dim=-1)
