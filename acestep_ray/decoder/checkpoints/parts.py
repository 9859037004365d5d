"""One model as its parts: each part's config, and where its tensors are. Nothing is read yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from acestep_ray.decoder.checkpoints.weights import StoredTensor

AUDIO_TOKENIZER = ("audio_tokenizer", "audio_token_detokenizer")
"""The two modules that codes and covers need. A checkpoint may lack them."""

TRAITS = ("is_lego_sft", "lyric_alignment_layers_config")
"""Keys of upstream's config that concern the model as a whole: no module is built from them. In
diffusers' layout they are in the transformer's config."""


def traits_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that no module is built from."""
    return {name: config[name] for name in TRAITS if config.get(name) is not None}


@dataclass(frozen=True)
class Part:
    """One module of diffusers' pipeline."""

    folder: Path
    """Named in errors."""
    config: Mapping[str, Any]
    """In the form that the module's class expects."""
    tensors: Mapping[str, StoredTensor]
    """By the module's own names."""
    extra: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Small tensors that are stored elsewhere, already read."""


@dataclass(frozen=True)
class Parts:
    """Everything that makes up a pipeline."""

    modules: Mapping[str, Part]
    """By the pipeline's names; without ``AUDIO_TOKENIZER`` if the checkpoint lacks it."""
    tokenizer: Path
    """Folder of the text encoder's tokenizer."""
    traits: Mapping[str, Any] = field(default_factory=dict)
    """What upstream's config has under the names in ``TRAITS``."""
