"""A request prepared for the model: its canvas, and what conditions it."""

from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.audio import is_silent, to_48k_stereo
from acestep_ray.decoder.diffusers.conditions import encode_conditions, encode_timbre
from acestep_ray.decoder.diffusers.decode import TILE
from acestep_ray.decoder.diffusers.encodings import Encodings
from acestep_ray.decoder.diffusers.loop import Sampling
from acestep_ray.decoder.diffusers.prompt import Prompt, task_instruction, text2music_instruction
from acestep_ray.decoder.diffusers.tasks import Canvas, canvas_for, silent_context
from acestep_ray.decoder.diffusers.velocity import Condition
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from acestep_ray.timebase import FRAMES_PER_SECOND


@dataclass(frozen=True)
class PreparedDecode:
    """A request with its tensors on the device."""

    pipeline: AceStepPipeline
    """The model that makes it, with the adapters of the request."""
    request: DecodeRequest
    prompt: Prompt
    """Of the first condition."""
    canvas: Canvas
    sampling: Sampling
    first: Condition
    then: Condition | None
    """The condition after ``switch`` steps; None: no change."""
    original: Condition | None
    """What describes the source, for flow-edit; None: no such edit."""
    switch: int
    tiled: bool
    """Whether the takes are decoded in tiles."""
    warnings: tuple[str, ...]

    def condition(self, step: int) -> Condition:
        """The condition in a step, counted from 0."""
        return self.first if self.then is None or step < self.switch else self.then


def prepare(
    pipeline: AceStepPipeline,
    request: DecodeRequest,
    sources: Sources,
    device: torch.device,
    whole_frames: int,
    *,
    adapted: AceStepPipeline,
    encodings: Encodings,
    lego_sft: bool = False,
) -> PreparedDecode:
    """Encode a request's texts and audio. Raises DecoderError.

    ``adapted``: ``pipeline`` with the request's adapters, which nothing here depends on.
    ``lego_sft``: whether the model reads captions of single tracks.
    What ``encodings`` has is not encoded again.
    Pieces with more than ``whole_frames`` are decoded in tiles, whether or not that was requested.
    """
    warnings: list[str] = []
    source = None
    used = request.task != "text2music" or request.edits_flow
    if sources.source is not None and used and not request.codes:
        source = to_48k_stereo(sources.source, sources.source_rate, device)
    canvas = canvas_for(pipeline, request, source, encodings, sources.source_digest)
    reference, heard = None, "silence"
    if sources.reference is not None:
        reference = to_48k_stereo(sources.reference, sources.reference_rate, device)
        if is_silent(reference):
            reference = None
            warnings.append("The reference audio is silent, so it is not used.")
        else:
            heard = sources.reference_digest
    timbre = encodings.get(
        ("timbre", heard) if heard else None, lambda: encode_timbre(pipeline, reference)
    )

    def encoded(prompt: Prompt) -> torch.Tensor:
        return encodings.get(
            ("texts", prompt, heard) if heard else None,
            lambda: encode_conditions(pipeline, prompt, timbre),
        )

    prompt = Prompt.of(request, task_instruction(request), canvas.seconds, lego_sft=lego_sft)
    first = Condition(encoded(prompt), canvas.context)
    warnings += prompt.cuts(pipeline)  # while a GPU still encodes
    then = original = None
    # A cover follows its source for this share of the steps, and then only the text.
    edits = request.edits_flow
    begins = canvas.begin is not None and not edits
    sampling = Sampling.of(pipeline, request, has_source=begins)
    switch = int(sampling.steps * request.cover_strength)
    if edits:
        own = {
            "caption": request.flow_edit_source_caption,
            "lyrics": request.flow_edit_source_lyrics,
        }
        described = request.model_copy(update=own)
        text = Prompt.of(described, task_instruction(request), canvas.seconds, lego_sft=lego_sft)
        original = Condition(encoded(text), canvas.context)
    elif canvas.cover and switch < sampling.steps:
        later = Prompt.of(request, text2music_instruction(), canvas.seconds)
        then = Condition(encoded(later), silent_context(pipeline, canvas.frames))
    if not request.use_tiled_decode and canvas.frames > whole_frames:
        longest = whole_frames / FRAMES_PER_SECOND
        warnings.append(f"Pieces longer than {longest:g} s are always decoded in tiles.")
    tiled = canvas.frames > TILE and (request.use_tiled_decode or canvas.frames > whole_frames)
    return PreparedDecode(
        adapted,
        request,
        prompt,
        canvas,
        sampling,
        first,
        then,
        original,
        switch,
        tiled,
        tuple(warnings),
    )
