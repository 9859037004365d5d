"""How much GPU memory an engine needs, and whether its share of the GPU suffices.

Weights and the LM's keys and values are exact. The decoder's working memory was computed from the
tensors of the full-size modules and rounded up (docs/operations.md explains how).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_ray.decoder.checkpoints.layout import (
    TEXT_ENCODER_FOLDER,
    VAE_FOLDER,
    CheckpointLayout,
    find,
)
from acestep_ray.errors import GpuMemoryError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.engines import PLANNER_ENGINES
from acestep_ray.replicas.safetensors_header import parameters_in, parameters_named, read_config
from acestep_ray.settings import Settings
from acestep_ray.settings.presets import cure

UPSTREAM_PREFIXES = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}
"""Module -> what the names of its tensors begin with in the file of upstream's layout."""
MODULES = (*UPSTREAM_PREFIXES, "vae", "text_encoder")
CUDA = 600_000_000
"""Bytes of a process's CUDA context with torch's libraries."""
LM_WORK = 300_000_000
"""Bytes of the LM's logits, prompts and CUDA graphs."""
VAE_TILE = 1_400_000_000
"""Bytes that the published VAE needs to decode one tile in 16-bit numbers."""
QUANTIZED = 1 + 5 / 128
"""Bytes of a weight in 8 bits, with its share of the scales."""
FOUR_BIT = 0.5 + 4 / 64
"""Bytes of a weight in 4 bits, with its share of the scales."""
TOKENS_PER_SECOND = 12.5
"""Tokens of the diffusion transformer: 25 latent frames per second, in patches of 2."""


@dataclass(frozen=True)
class Need:
    """One part of the sum: its name, and its ``size`` in bytes."""

    what: str
    size: int


def decoder_needs(
    parameters: int,
    dit: Mapping[str, Any],
    seconds: float,
    number_bytes: int = 2,
    in_one_byte: int = 0,
) -> list[Need]:
    """Memory for one guided take of ``seconds``: with less, the engine cannot do any job.

    ``dit``: the transformer's ``config.json``. ``number_bytes``: bytes per number, except of so
    many parameters that are ``in_one_byte``. Several takes are tried at a time, and made one by one
    if the memory does not suffice.
    """
    work = max(steps_bytes(dit, seconds, number_bytes), VAE_TILE * number_bytes // 2)
    return [
        Need("weights", parameters * number_bytes - int(in_one_byte * (number_bytes - QUANTIZED))),
        Need(f"one take of {seconds:g} s", work),
        Need("CUDA", CUDA),
    ]


def steps_bytes(dit: Mapping[str, Any], seconds: float, number_bytes: int) -> int:
    """What the diffusion transformer's tensors take in a guided step, without its weights."""
    rows, tokens = 2, seconds * TOKENS_PER_SECOND
    width = int(dit["hidden_size"]) + int(dit["intermediate_size"])
    return int(rows * tokens * width * 3.5 * number_bytes + tokens * tokens * 6.5 * number_bytes)


def offloading_needs(
    modules: Mapping[str, int], dit: Mapping[str, Any], seconds: float, number_bytes: int = 2
) -> list[Need]:
    """As ``decoder_needs``, if only the module that works is on the GPU. ``modules``: bytes of
    each, by the names of diffusers' pipeline."""
    work = {
        "transformer": steps_bytes(dit, seconds, number_bytes),
        "vae": VAE_TILE * number_bytes // 2,
    }
    moving = {name: size for name, size in modules.items() if name != "audio_tokenizer"}
    largest = max(moving, key=lambda name: moving[name] + work.get(name, 0))
    task = f"one take of {seconds:g} s" if largest == "transformer" else "its work"
    return [
        Need(f"the {largest.replace('_', ' ')}", moving[largest]),
        Need(task, work.get(largest, 0)),
        Need("the audio tokenizer", modules.get("audio_tokenizer", 0)),
        Need("CUDA", CUDA),
    ]


def planner_needs(
    parameters: int, lm: Mapping[str, Any], context: int, in_four_bits: int = 0
) -> list[Need]:
    """Memory for one guided plan of ``context`` tokens, in bfloat16, except of so many parameters
    that are ``in_four_bits``. ``lm``: the LM's ``config.json``."""
    pairs = int(lm["num_key_value_heads"]) * int(lm["head_dim"]) * int(lm["num_hidden_layers"])
    rows, keys_and_values, number_bytes = 2, 2, 2
    return [
        Need("weights", parameters * number_bytes - int(in_four_bits * (number_bytes - FOUR_BIT))),
        Need(f"a context of {context} tokens", rows * context * pairs * keys_and_values * 2),
        Need("logits and graphs", LM_WORK),
        Need("CUDA", CUDA),
    ]


def in_turns(needs: list[Need], share: float) -> list[Need]:
    """The needs of an engine that takes turns with others, each with this share of the GPU: their
    processes keep their CUDA contexts."""
    others = round(1 / share) - 1
    return [*needs, *[Need("CUDA of an engine that waits", CUDA)] * others]


def check_share(stage: str, needs: list[Need], share: float, total: int) -> None:
    """Raise GpuMemoryError if ``share`` (0 to 1) of a GPU of ``total`` bytes is too small."""
    needed, room = sum(need.size for need in needs), int(share * total)
    if needed <= room:
        return
    parts = " + ".join(f"{need.what} {_gb(need.size)}" for need in needs)
    raise GpuMemoryError(
        f"The {stage} needs {_gb(needed)} of a GPU ({parts}), but its num_gpus {share:g} of "
        f"{_gb(total)} is {_gb(room)}: {cure(total)}."
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def needs_of_decoder(settings: Settings) -> list[Need]:
    """Memory that the decoder needs; empty for a mock. Raises CheckpointError."""
    if settings.decoder == "mock" or settings.checkpoints is None:
        return []
    parts = _parts(find(settings.checkpoints, settings.dit.model))
    dit = read_config(parts["transformer"][0])
    seconds, number_bytes = settings.limits.duration, 4 if settings.dit.dtype == "fp32" else 2
    in_one_byte = 0
    if settings.dit.quantization:
        in_one_byte = parameters_named(*parts["transformer"], matrices=True)
    adapters = [Need("adapters", settings.dit.adapter_bytes)] if settings.adapters else []
    if not settings.dit.offload:
        folders = dict.fromkeys(folder for folder, _ in parts.values())
        parameters = parameters_in(*folders)
        if settings.dit.dtype == "fp16":  # the condition encoder is computed in 32 bits
            parameters += parameters_named(*parts["condition_encoder"])
        return adapters + decoder_needs(parameters, dit, seconds, number_bytes, in_one_byte)
    sizes = {name: number_bytes * parameters_named(*part) for name, part in parts.items()}
    sizes["transformer"] -= int(in_one_byte * (number_bytes - QUANTIZED))
    if settings.dit.dtype == "fp16":
        sizes["condition_encoder"] *= 2  # it is computed in 32 bits
    return adapters + offloading_needs(sizes, dit, seconds, number_bytes)


def _parts(layout: CheckpointLayout) -> dict[str, tuple[Path, str]]:
    """Where each module's tensors are: the folder, and what their names begin with."""
    if layout.kind == "diffusers":
        return {name: (layout.model / name, "") for name in MODULES}
    return {
        **{module: (layout.model, prefix) for module, prefix in UPSTREAM_PREFIXES.items()},
        "vae": (layout.root / VAE_FOLDER, ""),
        "text_encoder": (layout.root / TEXT_ENCODER_FOLDER, ""),
    }


def needs_of_planner(settings: Settings) -> list[Need]:
    """Memory that the planner needs; empty for a mock, and for vLLM, which checks its own memory.
    Raises CheckpointError."""
    if PLANNER_ENGINES[settings.planner].own_memory_check:
        return []
    folder = find_lm(settings.checkpoints, settings.lm.model)
    in_four_bits = 0
    if settings.lm.quantization:
        in_four_bits = sum(
            parameters_named(folder, prefix, matrices=True)
            for prefix in ("model.layers.", "layers.")
        )
    return planner_needs(
        parameters_in(folder), read_config(folder), settings.lm.context, in_four_bits
    )
