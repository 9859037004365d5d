"""Upstream's tensor names and config keys against diffusers' modules: none is lost or swapped."""

from pathlib import Path
from typing import Any

import pytest
import torch

from acestep_ray.decoder.checkpoints.modules import build
from acestep_ray.decoder.checkpoints.sizes import FULL_2B, FULL_XL
from acestep_ray.decoder.checkpoints.upstream import (
    diffusers_name,
    module_configs,
    read_silence,
    upstream_name,
)
from acestep_ray.errors import CheckpointError

CONFIG = Path("acestep-v15-turbo/config.json")

# Written out from published files and diffusers' modules, not computed.
NAMES = {
    "decoder.proj_in.1.weight": ("transformer", "proj_in_conv.weight"),
    "decoder.proj_out.1.bias": ("transformer", "proj_out_conv.bias"),
    "decoder.condition_embedder.weight": ("transformer", "condition_embedder.weight"),
    "decoder.time_embed_r.time_proj.bias": ("transformer", "time_embed_r.time_proj.bias"),
    "decoder.scale_shift_table": ("transformer", "scale_shift_table"),
    "decoder.layers.3.self_attn.q_proj.weight": ("transformer", "layers.3.self_attn.to_q.weight"),
    "decoder.layers.3.cross_attn.k_proj.weight": ("transformer", "layers.3.cross_attn.to_k.weight"),
    "decoder.layers.3.cross_attn.v_proj.weight": ("transformer", "layers.3.cross_attn.to_v.weight"),
    "decoder.layers.3.self_attn.o_proj.weight": (
        "transformer",
        "layers.3.self_attn.to_out.0.weight",
    ),
    "decoder.layers.0.self_attn.q_norm.weight": ("transformer", "layers.0.self_attn.norm_q.weight"),
    "decoder.layers.0.self_attn.k_norm.weight": ("transformer", "layers.0.self_attn.norm_k.weight"),
    "decoder.layers.0.mlp.gate_proj.weight": ("transformer", "layers.0.mlp.gate_proj.weight"),
    "encoder.text_projector.weight": ("condition_encoder", "text_projector.weight"),
    "encoder.lyric_encoder.layers.7.self_attn.o_proj.weight": (
        "condition_encoder",
        "lyric_encoder.layers.7.self_attn.to_out.0.weight",
    ),
    "encoder.timbre_encoder.special_token": ("condition_encoder", "timbre_encoder.special_token"),
    "null_condition_emb": ("condition_encoder", "null_condition_emb"),
    "tokenizer.quantizer.project_in.weight": ("audio_tokenizer", "quantizer.project_in.weight"),
    "tokenizer.attention_pooler.layers.1.self_attn.v_proj.weight": (
        "audio_tokenizer",
        "attention_pooler.layers.1.self_attn.to_v.weight",
    ),
    "detokenizer.proj_out.weight": ("audio_token_detokenizer", "proj_out.weight"),
    "detokenizer.special_tokens": ("audio_token_detokenizer", "special_tokens"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_map_both_ways(name: str) -> None:
    assert diffusers_name(name) == NAMES[name]
    assert upstream_name(*NAMES[name]) == name


def test_tensors_of_no_module_are_dropped() -> None:
    assert diffusers_name("ema.decoder.layers.0.mlp.up_proj.weight") is None


def test_published_2b_model_has_every_tensor_once() -> None:
    """678 tensors with the silence latent (model-facts 1.1), and no two share a name."""
    configs = module_configs(FULL_2B.dit, CONFIG)
    names = {
        module: list(build(module, config, CONFIG.parent).state_dict())
        for module, config in configs.items()
    }
    for module, its_names in names.items():
        for name in its_names:
            if name != "silence_latent":
                assert diffusers_name(upstream_name(module, name)) == (module, name)
    assert sum(map(len, names.values())) == 678
    assert len(names["condition_encoder"]) == 140 + len(["null_condition_emb", "silence_latent"])
    upstream = {upstream_name(module, name) for module in names for name in names[module]}
    assert len(upstream) == 678


def test_2b_modules_have_the_published_widths() -> None:
    configs = module_configs(FULL_2B.dit | {"is_turbo": True, "model_version": "turbo"}, CONFIG)
    assert configs["transformer"]["encoder_hidden_size"] == 2048
    assert configs["transformer"]["is_turbo"] is True
    assert configs["transformer"]["model_version"] == "turbo"
    assert configs["audio_tokenizer"]["layer_types"] == ["sliding_attention", "full_attention"]
    assert "fsq_dim" not in configs["audio_token_detokenizer"]
    module: Any = build("transformer", configs["transformer"], CONFIG.parent)
    assert module.proj_in_conv.weight.shape == (2048, 192, 2)


def test_xl_models_have_a_narrower_encoder() -> None:
    """XL: DiT 2560 wide with 32 heads over an encoder that stays 2048 wide with 16."""
    configs = module_configs(FULL_XL.dit, CONFIG)
    dit: Any = build("transformer", configs["transformer"], CONFIG.parent)
    assert dit.condition_embedder.weight.shape == (2560, 2048)
    assert dit.layers[31].self_attn.to_q.weight.shape == (32 * 128, 2560)
    encoder: Any = build("condition_encoder", configs["condition_encoder"], CONFIG.parent)
    assert encoder.text_projector.weight.shape == (2048, 1024)
    assert encoder.lyric_encoder.layers[0].self_attn.to_q.weight.shape == (16 * 128, 2048)
    for name in ("audio_tokenizer", "audio_token_detokenizer"):
        assert configs[name]["hidden_size"] == 2048
        assert configs[name]["intermediate_size"] == 6144


def test_a_config_without_a_width_is_named() -> None:
    broken = {key: value for key, value in FULL_2B.dit.items() if key != "head_dim"}
    with pytest.raises(CheckpointError, match=r"config\.json has no head_dim: download"):
        module_configs(broken, CONFIG)


def test_silence_is_transposed(tmp_path: Path) -> None:
    stored = torch.randn(1, 64, 15000, generator=torch.Generator().manual_seed(0))
    torch.save(stored, tmp_path / "silence_latent.pt")
    silence = read_silence(tmp_path / "silence_latent.pt", 64)
    assert torch.equal(silence[0, 123], stored[0, :, 123])
