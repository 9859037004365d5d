"""The diffusion transformer in numpy with 64-bit floats, from a checkpoint by upstream's names.

It shares nothing with the code that loads a model: a tensor under a wrong name, a wrong number of
heads or a wrong width gives other numbers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

Numbers = NDArray[np.float64]


def weights_of(model: Path) -> dict[str, Numbers]:
    """Every tensor of the DiT's folder."""
    found: dict[str, Numbers] = {}
    for file in sorted(model.glob("*.safetensors")):
        found |= {name: tensor.double().numpy() for name, tensor in load_file(file).items()}
    return found


def velocity(
    weights: Mapping[str, Numbers],
    config: Mapping[str, Any],
    latents: Numbers,
    time: float,
    condition: Numbers,
    context: Numbers,
    *,
    seen: list[Numbers] | None = None,
) -> Numbers:
    """Of latents [frames, 64] at a time, with a condition [tokens, encoder width] and context
    latents [frames, 128]. ``seen`` gets the attention of each layer to the condition, [heads,
    pairs of frames, tokens]."""
    w = {k.removeprefix("decoder."): v for k, v in weights.items() if k.startswith("decoder.")}
    frames = len(latents)
    x = np.concatenate([context, latents], axis=-1)
    if frames % 2:
        x = np.concatenate([x, np.zeros_like(x[:1])])
    pairs = x.reshape(len(x) // 2, 2, -1)
    x = np.einsum("tpc,hcp->th", pairs, w["proj_in.1.weight"]) + w["proj_in.1.bias"]
    condition = condition @ w["condition_embedder.weight"].T + w["condition_embedder.bias"]
    embedded, six = np.zeros(x.shape[1]), np.zeros((6, x.shape[1]))
    for name, value in (("time_embed", time), ("time_embed_r", 0.0)):
        angles = value * 1000 * np.exp(-np.log(10_000) * np.arange(128) / 128)
        one = np.concatenate([np.cos(angles), np.sin(angles)])
        one = silu(linear(w, f"{name}.linear_1", one))
        one = linear(w, f"{name}.linear_2", one)
        embedded += one
        six += linear(w, f"{name}.time_proj", silu(one)).reshape(6, -1)
    for layer, kind in enumerate(config["layer_types"]):
        own = {
            k.removeprefix(f"layers.{layer}."): v
            for k, v in w.items()
            if k.startswith(f"layers.{layer}.")
        }
        window = kind == "sliding_attention"
        x = _layer(own, config, x, six, condition, window=window, seen=seen)
    shift, scale = w["scale_shift_table"][0] + embedded
    x = rms(x, w["norm_out.weight"]) * (1 + scale) + shift
    out: Numbers = np.einsum("th,hcp->tpc", x, w["proj_out.1.weight"]) + w["proj_out.1.bias"]
    return out.reshape(-1, 64)[:frames]


def _layer(
    w: Mapping[str, Numbers],
    config: Mapping[str, Any],
    x: Numbers,
    six: Numbers,
    condition: Numbers,
    *,
    window: bool,
    seen: list[Numbers] | None,
) -> Numbers:
    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = w["scale_shift_table"][0] + six
    inner = rms(x, w["self_attn_norm.weight"]) * (1 + scale) + shift
    x = x + gate * _attention(w, config, "self_attn", inner, inner, window=window)
    inner = rms(x, w["cross_attn_norm.weight"])
    x = x + _attention(w, config, "cross_attn", inner, condition, window=False, seen=seen)
    inner = rms(x, w["mlp_norm.weight"]) * (1 + mlp_scale) + mlp_shift
    up = silu(inner @ w["mlp.gate_proj.weight"].T) * (inner @ w["mlp.up_proj.weight"].T)
    out: Numbers = x + mlp_gate * (up @ w["mlp.down_proj.weight"].T)
    return out


def _attention(
    w: Mapping[str, Numbers],
    config: Mapping[str, Any],
    name: str,
    x: Numbers,
    other: Numbers,
    *,
    window: bool,
    seen: list[Numbers] | None = None,
) -> Numbers:
    heads, width = config["num_attention_heads"], config["head_dim"]
    shared = heads // config["num_key_value_heads"]
    q = (x @ w[f"{name}.q_proj.weight"].T).reshape(len(x), heads, width)
    k, v = (
        np.repeat((other @ w[f"{name}.{one}.weight"].T).reshape(len(other), -1, width), shared, 1)
        for one in ("k_proj", "v_proj")
    )
    q, k = rms(q, w[f"{name}.q_norm.weight"]), rms(k, w[f"{name}.k_norm.weight"])
    if name == "self_attn":
        q, k = (turned(one, config["rope_theta"]) for one in (q, k))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(width)
    if window:
        places = np.arange(len(x))
        far = np.abs(places[:, None] - places) > config["sliding_window"]
        scores[:, far] = -np.inf
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    if seen is not None:
        seen.append(shares)
    read = np.einsum("hqk,khd->qhd", shares, v).reshape(len(x), heads * width)
    out: Numbers = read @ w[f"{name}.o_proj.weight"].T
    return out


def turned(x: Numbers, theta: float) -> Numbers:
    """Rotary positions: the second half of each head belongs to the first."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None] * theta ** (-np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def rms(x: Numbers, weight: Numbers) -> Numbers:
    out: Numbers = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * weight
    return out


def silu(x: Numbers) -> Numbers:
    out: Numbers = x / (1 + np.exp(-x))
    return out


def linear(w: Mapping[str, Numbers], name: str, x: Numbers) -> Numbers:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
