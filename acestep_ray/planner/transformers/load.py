"""Loads a 5Hz LM from a checkpoint folder, as it was published."""

import json
import logging
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

from acestep_ray.checkpoint_error import CheckpointError
from acestep_ray.planner.tokens import VOCABULARY, LmTokenizer
from acestep_ray.planner.transformers import attention
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.static_step import StaticSteps
from acestep_ray.settings import Lm

logger = logging.getLogger(__name__)
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def default_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_lm(folder: Path, settings: Lm) -> LanguageModel:
    """Load an LM: bfloat16 on a GPU, float32 on a CPU. Raises CheckpointError."""
    device = torch.device(settings.device) if settings.device else default_device()
    config = _config(folder)
    config._attn_implementation = attention.NAME
    try:
        with torch.device("meta"):
            model = Qwen3ForCausalLM(config)
    except Exception as error:  # transformers raises many kinds for a value that makes no model
        raise CheckpointError(
            f"{folder / 'config.json'} makes no model ({error!r}): download that folder again."
        ) from error
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    weights = _checked(folder, _named(_read(folder), bool(config.tie_word_embeddings)), wanted)
    try:
        tokenizer = LmTokenizer.load(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    # Weights alone are cast: the rotary frequencies, which are computed, stay float32.
    embedding = weights.pop(_EMBEDDING).to(device, dtype)
    head = weights.pop(_HEAD)
    placed = {name: tensor.to(device, dtype) for name, tensor in weights.items()}
    placed |= {
        _EMBEDDING: embedding,
        _HEAD: embedding if config.tie_word_embeddings else head.to(device, dtype),
    }
    model.load_state_dict(placed, assign=True)
    model.model.rotary_emb = Qwen3RotaryEmbedding(config).to(device)
    model.requires_grad_(False)
    model.train(False)
    graphs = settings.cuda_graphs and device.type == "cuda"
    return LanguageModel(
        name=folder.name,
        model=model,
        tokenizer=tokenizer,
        context=settings.context,
        static=StaticSteps(model, settings.context) if graphs else None,
    )


def _config(folder: Path) -> Qwen3Config:
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{folder} has no config.json.")
    try:
        values = json.loads(file.read_text("utf-8"))
        kind = values.get("model_type") if isinstance(values, dict) else None
        if kind != "qwen3":
            raise CheckpointError(f"{file} is of a {kind} model, not of a qwen3 one.")
        config = Qwen3Config.from_dict(values)
    except CheckpointError:
        raise
    except Exception as error:  # its classes check their fields with errors of their own
        raise CheckpointError(
            f"{file} cannot be read: {error}: download that folder again."
        ) from error
    if config.vocab_size < VOCABULARY:
        raise CheckpointError(
            f"{file} is not a 5Hz LM's: its vocabulary has {config.vocab_size} tokens, "
            f"not {VOCABULARY}."
        )
    if set(config.layer_types or ()) != {"full_attention"}:
        raise CheckpointError(f"{file} asks for sliding attention, which a 5Hz LM does not have.")
    return config


def _read(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder, from one file or from shards."""
    index = folder / "model.safetensors.index.json"
    files = [folder / "model.safetensors"]
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            files = [folder / Path(shard).name for shard in sorted(shards)]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CheckpointError(f"{index} cannot be read as an index of shards.") from None
    tensors: dict[str, Tensor] = {}
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{folder} has no {file.name}.")
        try:
            tensors |= load_file(file)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}: download it again.") from None
    return tensors


def _named(tensors: dict[str, Tensor], tied: bool) -> dict[str, Tensor]:
    """By transformers' names: some checkpoints leave ``model.`` out, tied ones the head."""
    named = {
        name if name.startswith(("model.", "lm_head.")) else f"model.{name}": tensor
        for name, tensor in tensors.items()
    }
    if tied and _EMBEDDING in named:
        named[_HEAD] = named[_EMBEDDING]
    return named


def _checked(
    folder: Path, tensors: dict[str, Tensor], wanted: dict[str, torch.Size]
) -> dict[str, Tensor]:
    """The wanted tensors, each of its shape."""
    missing = sorted(wanted.keys() - tensors.keys())
    if missing:
        more = f" and {len(missing) - 1} more tensors" if len(missing) > 1 else ""
        raise CheckpointError(f"{folder} lacks {missing[0]}{more}.")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise CheckpointError(
                f"{folder} does not fit its config.json: {name} is of shape "
                f"{tuple(tensors[name].shape)}, not {tuple(shape)}."
            )
    unknown = sorted(tensors.keys() - wanted.keys())
    if unknown:
        logger.warning("%s: %d tensors are not used: %s, …", folder, len(unknown), unknown[0])
    return {name: tensors[name] for name in wanted}
