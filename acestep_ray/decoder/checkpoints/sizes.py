"""Sizes of random checkpoints, as upstream's config files write them."""

from dataclasses import dataclass
from typing import Any

_DIT_COMMON: dict[str, Any] = {
    "architectures": ["AceStepConditionGenerationModel"],
    "model_type": "acestep",
    "in_channels": 192,
    "audio_acoustic_hidden_dim": 64,
    "timbre_hidden_dim": 64,
    "patch_size": 2,
    "rope_theta": 1_000_000,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "pool_window_size": 5,
    "fsq_input_levels": [8, 8, 8, 5, 5, 5],
    "fsq_input_num_quantizers": 1,
    "timbre_fix_frame": 750,
    "use_sliding_window": True,
    "vocab_size": 64003,
    "max_position_embeddings": 32768,
}
_TEXT_COMMON: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151669,
    "max_position_embeddings": 32768,
    "rope_theta": 1_000_000,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "transformers_version": "4.51.2",
}
_VAE_COMMON: dict[str, Any] = {
    "_class_name": "AutoencoderOobleck",
    "audio_channels": 2,
    "decoder_input_channels": 64,
    "encoder_hidden_size": 128,
    "sampling_rate": 48000,
}


@dataclass(frozen=True)
class Size:
    """The three config files of one model."""

    dit: dict[str, Any]
    """Without the keys that differ between turbo and base."""
    text_encoder: dict[str, Any]
    vae: dict[str, Any]


def _layer_types(layers: int) -> list[str]:
    return ["full_attention" if i % 2 else "sliding_attention" for i in range(layers)]


TINY = Size(
    dit=_DIT_COMMON
    | {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "layer_types": _layer_types(2),
        "sliding_window": 16,
        "text_hidden_dim": 32,
        "num_lyric_encoder_hidden_layers": 2,
        "num_timbre_encoder_hidden_layers": 2,
        "num_attention_pooler_hidden_layers": 1,
        "fsq_dim": 32,
    },
    text_encoder=_TEXT_COMMON
    | {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    },
    vae=_VAE_COMMON
    | {
        # Reversed: reading audio, which takes most of the time on a CPU, then costs a third less.
        "downsampling_ratios": [10, 6, 4, 4, 2],
        "channel_multiples": [1, 1, 1, 1, 1],
        "decoder_channels": 4,
    },
)
"""Real frame maths and vocabulary, and very few weights: 10 s within a second on a CPU."""

FULL_2B = Size(
    dit=_DIT_COMMON
    | {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "layer_types": _layer_types(24),
        "sliding_window": 128,
        "text_hidden_dim": 1024,
        "num_lyric_encoder_hidden_layers": 8,
        "num_timbre_encoder_hidden_layers": 4,
        "num_attention_pooler_hidden_layers": 2,
        "fsq_dim": 2048,
    },
    text_encoder=_TEXT_COMMON
    | {
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    vae=_VAE_COMMON
    | {
        "downsampling_ratios": [2, 4, 4, 6, 10],
        "channel_multiples": [1, 2, 4, 8, 16],
        "decoder_channels": 128,
    },
)
"""The published 2B models, Qwen3-Embedding-0.6B and the published VAE."""

FULL_XL = Size(
    dit=FULL_2B.dit
    | {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "layer_types": _layer_types(32),
        "encoder_hidden_size": 2048,
        "encoder_intermediate_size": 6144,
        "encoder_num_attention_heads": 16,
        "encoder_num_key_value_heads": 8,
    },
    text_encoder=FULL_2B.text_encoder,
    vae=FULL_2B.vae,
)
"""The published XL models: a wider DiT over the same encoders."""

TINY_XL = Size(
    dit=TINY.dit
    | {
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "layer_types": _layer_types(3),
        "encoder_hidden_size": TINY.dit["hidden_size"],
        "encoder_intermediate_size": TINY.dit["intermediate_size"],
        "encoder_num_attention_heads": TINY.dit["num_attention_heads"],
        "encoder_num_key_value_heads": TINY.dit["num_key_value_heads"],
    },
    text_encoder=TINY.text_encoder,
    vae=TINY.vae,
)
"""The layout of the XL models: attention is wider than the layers (8 heads of 8 over 48)."""

SIZES = {"tiny": TINY, "full-2b": FULL_2B, "full-xl": FULL_XL}
