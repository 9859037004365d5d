"""The upstream ``checkpoints/`` folder: tensor names, configs and the silence latent.

The DiT's file holds four modules under prefixes, and its layers have Qwen3's names, while diffusers
has its own. The mapping is that of diffusers' ``convert_ace_step_to_diffusers.py``.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from acestep_ray.decoder.checkpoints.layout import (
    MAIN_BUNDLE,
    SILENCE_FILE,
    TEXT_ENCODER_FOLDER,
    VAE_FOLDER,
    CheckpointLayout,
    read_json,
)
from acestep_ray.decoder.checkpoints.parts import AUDIO_TOKENIZER, Part, Parts, traits_of
from acestep_ray.decoder.checkpoints.weights import StoredTensor, stored_tensors
from acestep_ray.errors import CheckpointError

PREFIXES = {
    "decoder.": "transformer",
    "encoder.": "condition_encoder",
    "tokenizer.": "audio_tokenizer",
    "detokenizer.": "audio_token_detokenizer",
}
NULL_CONDITION = "null_condition_emb"
SILENCE_FRAMES = 15_000
"""Latent frames of the silence latent: 600 s."""

_ATTENTION = (
    (".q_proj.", ".to_q."),
    (".k_proj.", ".to_k."),
    (".v_proj.", ".to_v."),
    (".o_proj.", ".to_out.0."),
    (".q_norm.", ".norm_q."),
    (".k_norm.", ".norm_k."),
)
_PATCHING = (("proj_in.1.", "proj_in_conv."), ("proj_out.1.", "proj_out_conv."))

_SHARED = (
    ("head_dim", None),
    ("rope_theta", 1_000_000.0),
    ("attention_bias", False),
    ("attention_dropout", 0.0),
    ("rms_norm_eps", 1e-6),
    ("sliding_window", 128),
)
"""Keys that every module uses, with upstream's default; None: the config must have the key."""


def upstream_parts(layout: CheckpointLayout) -> Parts:
    """The parts of an upstream model. Raises CheckpointError for missing or unreadable files."""
    for name in (VAE_FOLDER, TEXT_ENCODER_FOLDER):
        if not (layout.root / name).is_dir():
            raise CheckpointError(
                f"{layout.root / name} is missing: download {MAIN_BUNDLE} into {layout.root}."
            )
    dit, vae, text = layout.model, layout.root / VAE_FOLDER, layout.root / TEXT_ENCODER_FOLDER
    config = read_json(dit / "config.json")
    configs = module_configs(config, dit / "config.json")
    tensors = split(stored_tensors(dit, "model"))
    modules = {
        name: Part(dit, config, tensors[name])
        for name, config in configs.items()
        if name not in AUDIO_TOKENIZER
    }
    silence = read_silence(dit / SILENCE_FILE, configs["condition_encoder"]["timbre_hidden_dim"])
    modules["condition_encoder"] = Part(
        dit, configs["condition_encoder"], tensors["condition_encoder"], {"silence_latent": silence}
    )
    if any(tensors[name] for name in AUDIO_TOKENIZER):
        for name in AUDIO_TOKENIZER:
            modules[name] = Part(dit, configs[name], tensors[name])
    modules["vae"] = Part(
        vae, read_json(vae / "config.json"), stored_tensors(vae, "diffusion_pytorch_model")
    )
    modules["text_encoder"] = Part(
        text, read_json(text / "config.json"), without_model_prefix(stored_tensors(text, "model"))
    )
    return Parts(modules, text, traits_of(config))


def diffusers_name(name: str) -> tuple[str, str] | None:
    """(module, tensor) in diffusers for a tensor of the DiT's file; None: not of any module."""
    if name == NULL_CONDITION:
        return "condition_encoder", name
    for prefix, module in PREFIXES.items():
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            return module, _renamed(short, _rules(module))
    return None


def upstream_name(module: str, name: str) -> str:
    """The reverse mapping, for writing the upstream layout."""
    if name == NULL_CONDITION:
        return name
    prefix = next(prefix for prefix, known in PREFIXES.items() if known == module)
    return prefix + _renamed(name, tuple((new, old) for old, new in _rules(module)))


def split(tensors: Mapping[str, StoredTensor]) -> dict[str, dict[str, StoredTensor]]:
    """Tensors of the DiT's file by module and diffusers' name; others are dropped."""
    modules: dict[str, dict[str, StoredTensor]] = {module: {} for module in PREFIXES.values()}
    for name, stored in tensors.items():
        if place := diffusers_name(name):
            modules[place[0]][place[1]] = stored
    return modules


def without_model_prefix(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Tensors of the text encoder, stored either as the bare model or as a causal LM."""
    return {
        name.removeprefix("model."): stored
        for name, stored in tensors.items()
        if name != "lm_head.weight"
    }


def module_configs(config: Mapping[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    """Configs of diffusers' modules from the DiT's ``config.json`` (read from ``file``).

    XL models have a narrower encoder than DiT: ``encoder_*`` keys override the DiT's own there.
    """

    def value(key: str) -> Any:
        if config.get(key) is None:
            raise CheckpointError(f"{file} has no {key}: download that folder again.")
        return config[key]

    def values(*keys: str) -> dict[str, Any]:
        return {key: value(key) for key in keys}

    widths = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    shared = {
        key: value(key) if default is None else config.get(key, default) for key, default in _SHARED
    }
    encoder = shared | {
        key: config[f"encoder_{key}"] if config.get(f"encoder_{key}") else value(key)
        for key in widths
    }
    layer_types = config.get("layer_types")
    pooler_layers = value("num_attention_pooler_hidden_layers")
    if not isinstance(pooler_layers, int) or not isinstance(layer_types, list | None):
        raise CheckpointError(
            f"{file}: layer_types must be a list and num_attention_pooler_hidden_layers a whole "
            "number; download that folder again."
        )
    detokenizer = encoder | {
        **values("audio_acoustic_hidden_dim", "pool_window_size"),
        "num_attention_pooler_hidden_layers": pooler_layers,
        "layer_types": layer_types and layer_types[:pooler_layers],
    }
    return {
        "transformer": shared
        | values(*widths, "num_hidden_layers")
        | values("in_channels", "audio_acoustic_hidden_dim", "patch_size")
        | {
            "layer_types": layer_types,
            "encoder_hidden_size": encoder["hidden_size"],
            "is_turbo": bool(config.get("is_turbo", False)),
            "model_version": config.get("model_version"),
        },
        "condition_encoder": encoder
        | values("text_hidden_dim", "timbre_hidden_dim")
        | values("num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers"),
        "audio_tokenizer": detokenizer
        | values("fsq_dim", "fsq_input_levels", "fsq_input_num_quantizers"),
        "audio_token_detokenizer": detokenizer,
    }


def read_silence(file: Path, channels: int) -> torch.Tensor:
    """The VAE's encoding of silence, [1, 15000, channels]; the file holds it transposed."""
    if not file.is_file():
        raise CheckpointError(
            f"{file} is missing: download it from the model's repository, "
            "without it every song is a drone."
        )
    try:
        silence = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError):
        raise CheckpointError(
            f"{file} is no tensor that torch can read: download it again."
        ) from None
    shape = (1, channels, SILENCE_FRAMES)
    if not isinstance(silence, torch.Tensor) or tuple(silence.shape) != shape:
        raise CheckpointError(f"{file} holds no tensor of shape {list(shape)}: download it again.")
    return silence.transpose(1, 2).contiguous()


def _rules(module: str) -> tuple[tuple[str, str], ...]:
    return _ATTENTION + _PATCHING if module == "transformer" else _ATTENTION


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for old, new in rules:
        name = name.replace(old, new)
    return name
