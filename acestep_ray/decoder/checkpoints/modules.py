"""Builds the pipeline's modules on the meta device first, so that nothing is allocated twice."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck, FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from torch import nn
from transformers import AutoTokenizer, Qwen3Config, Qwen3Model

from acestep_ray.decoder.checkpoints.parts import TRAITS
from acestep_ray.errors import CheckpointError

_CLASSES: dict[str, Any] = {
    "transformer": AceStepTransformer1DModel,
    "condition_encoder": AceStepConditionEncoder,
    "audio_tokenizer": AceStepAudioTokenizer,
    "audio_token_detokenizer": AceStepAudioTokenDetokenizer,
    "vae": AutoencoderOobleck,
}


def build(name: str, config: Mapping[str, Any], folder: Path) -> nn.Module:
    """The module on the meta device. Raises CheckpointError if the config does not describe one.

    torch.random's state does not change: a job after it draws the same numbers as without it.
    """
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            # diffusers' Oobleck uses it; the stored names (weight_g, weight_v) depend on it.
            warnings.filterwarnings("ignore", message=".*weight_norm.* is deprecated")
            if name == "text_encoder":
                return _text_encoder(config)
            own = {key: value for key, value in config.items() if key not in TRAITS}
            module: nn.Module = _CLASSES[name].from_config(own)
            return module
    except Exception as error:  # diffusers and transformers raise many types for a wrong value
        said = " ".join(str(error).split())  # torch lists the arguments it takes line by line
        raise CheckpointError(
            f"{folder / 'config.json'} makes no {name} ({said}): download that folder again."
        ) from error


def compute_buffers(module: nn.Module, device: torch.device) -> None:
    """Fill the buffers that no checkpoint holds, after the weights: code levels, rotary angles."""
    with torch.random.fork_rng(devices=[]):
        if isinstance(module, AceStepAudioTokenizer):
            quantizer: Any = module.quantizer
            fresh = type(quantizer)(1, list(quantizer.levels), quantizer.num_quantizers)
            for name, buffer in fresh.named_buffers():
                quantizer.register_buffer(name, buffer.to(device), persistent=False)
        elif isinstance(module, Qwen3Model):
            module.rotary_emb = type(module.rotary_emb)(config=module.config).to(device)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_meta:
            raise RuntimeError(f"{type(module).__name__}.{name} was not loaded")


def scheduler() -> Any:
    """FlowMatchEulerDiscreteScheduler for the sigmas that the pipeline passes: already shifted."""
    make: Any = FlowMatchEulerDiscreteScheduler
    return make(num_train_timesteps=1, shift=1.0)


def tokenizer(folder: Path) -> Any:
    """PreTrainedTokenizerBase: the text encoder's tokenizer, from its ``tokenizer.json``."""
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} is missing: copy it from Qwen3-Embedding-0.6B."
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises bare Exceptions
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} cannot be read ({error}): download it again."
        ) from error


def _text_encoder(config: Mapping[str, Any]) -> nn.Module:
    if config.get("model_type") != "qwen3":
        raise ValueError(f"model_type is {config.get('model_type')}, not qwen3")
    model: nn.Module = Qwen3Model(Qwen3Config.from_dict(dict(config)))
    return model
