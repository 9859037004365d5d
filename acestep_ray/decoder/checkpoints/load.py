"""Loads a checkpoint of either layout as diffusers' pipeline, straight to the device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AceStepPipeline
from torch import nn

from acestep_ray.decoder.checkpoints.diffusers_format import diffusers_parts
from acestep_ray.decoder.checkpoints.layout import CheckpointLayout, LayoutKind, find
from acestep_ray.decoder.checkpoints.lyric_heads import lyric_heads
from acestep_ray.decoder.checkpoints.modules import build, compute_buffers, scheduler, tokenizer
from acestep_ray.decoder.checkpoints.parts import AUDIO_TOKENIZER, Parts
from acestep_ray.decoder.checkpoints.upstream import upstream_parts
from acestep_ray.decoder.checkpoints.weights import compare, fill
from acestep_ray.decoder.protocol import TASKS, Task
from acestep_ray.errors import CheckpointError

OTHER_TASKS: tuple[Task, ...] = ("text2music", "cover", "cover-nofsq", "repaint")


@dataclass(frozen=True)
class ModelInfo:
    """What was loaded."""

    name: str
    turbo: bool
    """Guidance is distilled into the weights, so guidance_scale has no effect."""
    has_audio_tokenizer: bool
    tasks: tuple[Task, ...]
    """turbo and sft models: four; base models, and those that were tuned for lego: all; without an
    audio tokenizer no covers."""
    layout: LayoutKind
    xl: bool = False
    """Whether its transformer is wider than the encoders in front of it."""
    lego_sft: bool = False
    """Whether it was tuned to make single tracks, from captions of a form of their own."""
    lyric_heads: Mapping[int, tuple[int, ...]] | None = None
    """By layer, the heads of the cross-attention that follow the singing; None: not known."""


@dataclass(frozen=True)
class Loaded:
    """A pipeline whose modules are on the device, in eval mode, without gradients."""

    pipeline: AceStepPipeline
    info: ModelInfo
    folder: Path

    def require_audio_tokenizer(self) -> None:
        """Raises CheckpointError if codes and covers cannot be made."""
        if not self.info.has_audio_tokenizer:
            raise CheckpointError(
                f"{self.folder} has no audio_tokenizer and audio_token_detokenizer, which audio "
                "codes and covers need: convert the upstream checkpoint with `acestep-ray convert`."
            )


def load(
    folder: Path,
    model: str,
    device: str,
    dtype: torch.dtype,
    *,
    quantise: Callable[[nn.Module], None] | None = None,
) -> Loaded:
    """Load the model in ``folder`` named ``model`` (empty: see ``find``). Blocking.

    ``quantise`` makes the transformer's weights smaller. They are loaded on the CPU then, and the
    device never has to hold the larger ones.

    At the peak, memory holds the weights once. Raises CheckpointError with one sentence for
    everything that is wrong with the files; names and shapes are compared before weights are read.
    """
    layout = find(folder, model)
    try:
        parts = upstream_parts(layout) if layout.kind == "upstream" else diffusers_parts(layout)
    except OSError as error:
        raise CheckpointError(
            f"{layout.model} cannot be read ({error}): check its permissions."
        ) from error
    target = torch.device(device)
    modules = _load_modules(parts, target, dtype, quantise)
    _check_silence(modules["condition_encoder"], parts)
    pipeline = _pipeline(modules, parts.tokenizer)
    return Loaded(pipeline, _info(layout, pipeline, parts), layout.model)


def _load_modules(
    parts: Parts,
    device: torch.device,
    dtype: torch.dtype,
    quantise: Callable[[nn.Module], None] | None,
) -> dict[str, Any]:
    modules: dict[str, Any] = {}
    for name, part in parts.modules.items():
        modules[name] = build(name, part.config, part.folder)
        compare(modules[name], part.tensors, part.folder, part.extra)
    for name, part in parts.modules.items():
        first = torch.device("cpu") if quantise and name == "transformer" else device
        fill(modules[name], part.tensors, part.extra, first, dtype)
        compute_buffers(modules[name], first)
        modules[name].eval().requires_grad_(False)
        if quantise and name == "transformer":
            quantise(modules[name])
            modules[name].to(device)
    return modules


def _pipeline(modules: dict[str, Any], tokenizer_folder: Path) -> Any:
    make: Any = AceStepPipeline
    pipeline = make(
        **dict.fromkeys(AUDIO_TOKENIZER) | modules,
        tokenizer=tokenizer(tokenizer_folder),
        scheduler=scheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _check_silence(condition_encoder: Any, parts: Parts) -> None:
    """Without the silence latent a converter leaves a placeholder of zeros, which makes drones."""
    if not condition_encoder.silence_latent.any():
        raise CheckpointError(
            f"{parts.modules['condition_encoder'].folder} has a silence_latent of zeros, which "
            "makes every song a drone: convert the upstream checkpoint again."
        )


def _info(layout: CheckpointLayout, pipeline: Any, parts: Parts) -> ModelInfo:
    config = pipeline.transformer.config
    lego_sft = bool(parts.traits.get("is_lego_sft"))
    turbo = bool(pipeline.is_turbo)
    fine_tuned = config.model_version == "sft" or "sft" in layout.name.split("-")
    tasks = OTHER_TASKS if (turbo or fine_tuned) and not lego_sft else TASKS
    codes = pipeline.audio_tokenizer is not None
    return ModelInfo(
        name=layout.name,
        turbo=turbo,
        has_audio_tokenizer=codes,
        tasks=tasks if codes else tuple(task for task in tasks if task != "cover"),
        layout=layout.kind,
        xl=config.encoder_hidden_size not in (None, config.hidden_size),
        lego_sft=lego_sft,
        lyric_heads=lyric_heads(config, parts.traits),
    )
