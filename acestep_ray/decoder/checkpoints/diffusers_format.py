"""The diffusers layout: one folder per module, each with its own config and weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_ray.decoder.checkpoints.layout import MODEL_INDEX, CheckpointLayout, read_json
from acestep_ray.decoder.checkpoints.parts import AUDIO_TOKENIZER, Part, Parts, traits_of
from acestep_ray.decoder.checkpoints.upstream import without_model_prefix
from acestep_ray.decoder.checkpoints.weights import stored_tensors
from acestep_ray.errors import CheckpointError

PIPELINE_CLASS = "AceStepPipeline"
MODULES = ("transformer", "condition_encoder", "vae", "text_encoder")


def diffusers_parts(layout: CheckpointLayout) -> Parts:
    """The parts of a diffusers folder. Raises CheckpointError for missing or unreadable files."""
    file = layout.model / MODEL_INDEX
    index = read_json(file)
    if index.get("_class_name") != PIPELINE_CLASS:
        raise CheckpointError(
            f"{file} is of {index.get('_class_name')}, not of {PIPELINE_CLASS}: "
            "set ACESTEP_CHECKPOINTS to an ACE-Step 1.5 model."
        )
    pair = [name for name in AUDIO_TOKENIZER if _listed(index, name)]
    if len(pair) == 1:
        raise CheckpointError(
            f"{file} lists {pair[0]} without its other half: convert the upstream checkpoint again."
        )
    modules = {name: _part(layout.model / name, name) for name in (*MODULES, *pair)}
    traits = traits_of(modules["transformer"].config)
    return Parts(modules, _folder(layout.model / "tokenizer"), traits)


def _part(folder: Path, name: str) -> Part:
    config = read_json(_folder(folder) / "config.json")
    if name == "text_encoder":
        return Part(folder, config, without_model_prefix(stored_tensors(folder, "model")))
    return Part(folder, config, stored_tensors(folder, "diffusion_pytorch_model"))


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is missing: download the model again, or convert the upstream checkpoint."
        )
    return folder


def _listed(index: Mapping[str, Any], name: str) -> bool:
    value = index.get(name)
    return isinstance(value, list) and len(value) == 2 and value[1] is not None
