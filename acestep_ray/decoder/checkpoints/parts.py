"""One model as its parts: each part's config, and where its tensors lie. Nothing is read yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from acestep_ray.decoder.checkpoints.weights import StoredTensor

AUDIO_TOKENIZER = ("audio_tokenizer", "audio_token_detokenizer")
"""The pair that codes and covers need, and a checkpoint may lack."""


@dataclass(frozen=True)
class Part:
    """One module of diffusers' pipeline."""

    folder: Path
    """Named in errors."""
    config: Mapping[str, Any]
    """As the module's class takes it."""
    tensors: Mapping[str, StoredTensor]
    """By the module's own names."""
    extra: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Small tensors that lie elsewhere, read already."""


@dataclass(frozen=True)
class Parts:
    """Everything that a pipeline is made of."""

    modules: Mapping[str, Part]
    """By the pipeline's names; without ``AUDIO_TOKENIZER`` where the checkpoint lacks it."""
    tokenizer: Path
    """Folder of the text encoder's tokenizer."""
