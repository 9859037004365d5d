"""Loads a 5Hz LM from a checkpoint folder, as it was published."""

from collections import defaultdict
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

from acestep_ray.planner.checkpoint import EMBEDDING, HEAD, LmCheckpoint, open_checkpoint
from acestep_ray.planner.transformers import attention
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.quantised import quantise
from acestep_ray.planner.transformers.static_step import StaticSteps
from acestep_ray.settings import Lm


def default_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_lm(folder: Path, settings: Lm) -> LanguageModel:
    """Load an LM: bfloat16 on a GPU, float32 on a CPU. Raises CheckpointError."""
    device = torch.device(settings.device) if settings.device else default_device()
    checkpoint = open_checkpoint(folder)
    config = checkpoint.config
    config._attn_implementation = attention.NAME
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    first = torch.device("cpu") if settings.quantization else device
    # Only weights are cast: the rotary frequencies, which are computed, stay float32.
    weights = _read(checkpoint, first, dtype)
    if checkpoint.tied:
        weights[HEAD] = weights[EMBEDDING]
    model.load_state_dict(weights, assign=True)
    if checkpoint.tied:  # one parameter, or it would become two when it moves
        model.lm_head.weight = model.model.embed_tokens.weight
    model.model.rotary_emb = Qwen3RotaryEmbedding(config)
    if settings.quantization:
        quantise(model, device)
    model.to(device)
    model.requires_grad_(False)
    model.train(False)
    # Whether a graph can record the kernels of 4-bit weights was not tried.
    graphs = settings.cuda_graphs and device.type == "cuda" and not settings.quantization
    return LanguageModel(
        name=folder.name,
        model=model,
        tokenizer=checkpoint.tokenizer,
        context=settings.context,
        static=StaticSteps(model, settings.context) if graphs else None,
    )


def _read(checkpoint: LmCheckpoint, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    files: dict[Path, dict[str, str]] = defaultdict(dict)
    for name, (file, stored) in checkpoint.tensors.items():
        files[file][name] = stored
    weights: dict[str, Tensor] = {}
    for file, names in files.items():
        with safe_open(file, "pt") as opened:
            for name, stored in names.items():
                weights[name] = opened.get_tensor(stored).to(device, dtype)
    return weights
