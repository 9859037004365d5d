"""Writes weights in shards, and models in the diffusers format, with one shard in memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import save_file

from acestep_ray.decoder.checkpoints.diffusers_format import PIPELINE_CLASS
from acestep_ray.decoder.checkpoints.layout import MODEL_INDEX
from acestep_ray.decoder.checkpoints.modules import build, scheduler
from acestep_ray.decoder.checkpoints.parts import AUDIO_TOKENIZER, traits_of

SHARD_BYTES = 1024**3
Report = Callable[[str], None]

_LIBRARIES = {
    "vae": ("diffusers", "AutoencoderOobleck"),
    "text_encoder": ("transformers", "Qwen3Model"),
    "tokenizer": ("transformers", "Qwen2Tokenizer"),
    "transformer": ("diffusers", "AceStepTransformer1DModel"),
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "condition_encoder": ("ace_step", "AceStepConditionEncoder"),
    "audio_tokenizer": ("ace_step", "AceStepAudioTokenizer"),
    "audio_token_detokenizer": ("ace_step", "AceStepAudioTokenDetokenizer"),
}


@dataclass(frozen=True)
class Draft:
    """A module about to be written: its config, and its tensors in any order."""

    config: Mapping[str, Any]
    tensors: Iterable[tuple[str, torch.Tensor]]


def write_shards(
    folder: Path,
    stem: str,
    tensors: Iterable[tuple[str, torch.Tensor]],
    dtype: torch.dtype,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write ``STEM.safetensors``; above ``shard_bytes``: numbered shards and their index."""
    drafts: list[tuple[Path, list[str]]] = []
    total = 0
    for shard in _shards(tensors, dtype, shard_bytes):
        draft = folder / f"{stem}.shard-{len(drafts)}"
        save_file(shard, draft, metadata={"format": "pt"})
        drafts.append((draft, list(shard)))
        total += sum(tensor.nbytes for tensor in shard.values())
    if len(drafts) == 1:
        drafts[0][0].rename(folder / f"{stem}.safetensors")
        return
    places: dict[str, str] = {}
    for number, (draft, names) in enumerate(drafts, 1):
        file = f"{stem}-{number:05d}-of-{len(drafts):05d}.safetensors"
        draft.rename(folder / file)
        places |= dict.fromkeys(names, file)
    write_json(
        folder / f"{stem}.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))},
    )


def write_diffusers(
    folder: Path,
    modules: Mapping[str, Draft],
    write_tokenizer: Callable[[Path], None],
    *,
    dtype: torch.dtype,
    shard_bytes: int,
    report: Report,
) -> None:
    """Write a folder for ``AceStepPipeline.from_pretrained``; the index is written last."""
    for name, draft in modules.items():
        report(f"writing {name}")
        module: Any = build(name, draft.config, folder / name)
        text = name == "text_encoder"
        (folder / name).mkdir()
        if text:
            module.config.architectures = [type(module).__name__]
            module.config.save_pretrained(folder / name)
        else:
            module.register_to_config(**traits_of(draft.config))
            module.save_config(folder / name)
        stem = "model" if text else "diffusion_pytorch_model"
        write_shards(folder / name, stem, draft.tensors, dtype, shard_bytes)
    write_tokenizer(folder / "tokenizer")
    scheduler().save_pretrained(folder / "scheduler")
    index: dict[str, Any] = {
        "_class_name": PIPELINE_CLASS,
        "_diffusers_version": diffusers.__version__,
    }
    for name, place in _LIBRARIES.items():
        absent = name in AUDIO_TOKENIZER and name not in modules
        index[name] = [None, None] if absent else list(place)
    write_json(folder / MODEL_INDEX, index)


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """As config files usually look."""
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _shards(
    tensors: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype, shard_bytes: int
) -> Iterator[dict[str, torch.Tensor]]:
    shard: dict[str, torch.Tensor] = {}
    size = 0
    for name, tensor in tensors:
        stored = tensor.to(dtype, copy=True)
        if shard and size + stored.nbytes > shard_bytes:
            yield shard
            shard, size = {}, 0
        shard[name] = stored.contiguous()
        size += stored.nbytes
    yield shard
