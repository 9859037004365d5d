"""Writes checkpoints of random weights, so that the real engine runs without a download."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from acestep_ray.decoder.checkpoints.layout import (
    DIT_PREFIX,
    SILENCE_FILE,
    TEXT_ENCODER_FOLDER,
    VAE_FOLDER,
    LayoutKind,
)
from acestep_ray.decoder.checkpoints.modules import build
from acestep_ray.decoder.checkpoints.parts import AUDIO_TOKENIZER
from acestep_ray.decoder.checkpoints.qwen_tokenizer import write_qwen_tokenizer
from acestep_ray.decoder.checkpoints.random_weights import random_tensors
from acestep_ray.decoder.checkpoints.sizes import TINY, Size
from acestep_ray.decoder.checkpoints.upstream import (
    PREFIXES,
    module_configs,
    upstream_name,
)
from acestep_ray.decoder.checkpoints.whole import whole_folder
from acestep_ray.decoder.checkpoints.write import (
    SHARD_BYTES,
    Draft,
    Report,
    write_diffusers,
    write_json,
    write_shards,
)


def make_tiny_checkpoint(
    folder: Path,
    layout: LayoutKind = "upstream",
    turbo: bool = True,
    seed: int = 0,
    *,
    size: Size = TINY,
    dtype: torch.dtype = torch.bfloat16,
    audio_tokenizer: bool = True,
    shard_bytes: int = SHARD_BYTES,
    report: Report = lambda line: None,
) -> Path:
    """Write a checkpoint of seeded random weights, and return the model's own folder.

    ``upstream``: ``acestep-v15-turbo/`` or ``acestep-v15-base/`` (of an XL size
    ``acestep-v15-xl-turbo/`` or ``acestep-v15-xl-base/``) in ``folder``, beside ``vae/`` and
    ``Qwen3-Embedding-0.6B/``, which are kept if they exist. ``diffusers``: ``folder`` itself, which
    must be new or empty. For the same seed both hold the same weights, stored as ``dtype``; files
    above ``shard_bytes`` are split. Without ``audio_tokenizer`` the model can use neither codes nor
    covers. Raises CheckpointError.
    """
    folder = folder.expanduser().absolute()
    dit = size.dit | {"is_turbo": turbo, "model_version": "turbo" if turbo else "base"}
    configs: dict[str, Mapping[str, Any]] = dict(module_configs(dit, folder / "config.json"))
    if not audio_tokenizer:
        configs = {name: config for name, config in configs.items() if name not in AUDIO_TOKENIZER}
    configs |= {"vae": size.vae, "text_encoder": size.text_encoder}
    drafts = {name: Draft(config, _tensors(name, config, seed)) for name, config in configs.items()}
    if layout == "diffusers":
        with whole_folder(folder) as written:
            write_diffusers(
                written,
                drafts,
                write_qwen_tokenizer,
                dtype=dtype,
                shard_bytes=shard_bytes,
                report=report,
            )
        return folder
    xl = "xl-" if "encoder_hidden_size" in dit else ""
    model = folder / f"{DIT_PREFIX}{xl}{dit['model_version']}"
    shared = {VAE_FOLDER: "vae", TEXT_ENCODER_FOLDER: "text_encoder"}
    with whole_folder(model) as written:
        report(f"writing {model.name}")
        _write_dit(written, dit, drafts, dtype, shard_bytes)
        for name, module in shared.items():
            if (folder / name).is_dir():
                report(f"keeping {name}, which is there")
                continue
            report(f"writing {name}")
            with whole_folder(folder / name) as beside:
                _write_beside(beside, module, drafts[module], dtype, shard_bytes)
    return model


def _tensors(name: str, config: Mapping[str, Any], seed: int) -> Iterator[tuple[str, torch.Tensor]]:
    yield from random_tensors(build(name, config, Path(name)), name, seed)


def _write_dit(
    folder: Path,
    config: Mapping[str, Any],
    drafts: Mapping[str, Draft],
    dtype: torch.dtype,
    shard_bytes: int,
) -> None:
    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        for module in PREFIXES.values():
            for name, tensor in drafts[module].tensors if module in drafts else ():
                if name == "silence_latent":
                    silence = tensor.transpose(1, 2).to(dtype).contiguous()
                    torch.save(silence, folder / SILENCE_FILE)
                else:
                    yield upstream_name(module, name), tensor

    write_json(folder / "config.json", config)
    write_shards(folder, "model", tensors(), dtype, shard_bytes)


def _write_beside(
    folder: Path, module: str, draft: Draft, dtype: torch.dtype, shard_bytes: int
) -> None:
    write_json(folder / "config.json", draft.config)
    if module == "text_encoder":
        write_qwen_tokenizer(folder)
        write_shards(folder, "model", draft.tensors, dtype, shard_bytes)
    else:
        write_shards(folder, "diffusion_pytorch_model", draft.tensors, dtype, shard_bytes)
