"""Writes the diffusers format from an upstream checkpoint, with one shard in memory at a time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from acestep_ray.decoder.checkpoints.layout import CheckpointLayout, find
from acestep_ray.decoder.checkpoints.modules import build, tokenizer
from acestep_ray.decoder.checkpoints.parts import Part
from acestep_ray.decoder.checkpoints.upstream import upstream_parts
from acestep_ray.decoder.checkpoints.weights import compare, read
from acestep_ray.decoder.checkpoints.whole import refuse_existing, whole_folder
from acestep_ray.decoder.checkpoints.write import (
    SHARD_BYTES,
    Draft,
    Report,
    write_diffusers,
)
from acestep_ray.errors import CheckpointError

TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
)


def convert_checkpoint(
    source: Path,
    target: Path,
    model: str = "",
    dtype: torch.dtype = torch.bfloat16,
    *,
    shard_bytes: int = SHARD_BYTES,
    report: Report = lambda line: None,
) -> CheckpointLayout:
    """Write ``target``, a folder that ``AceStepPipeline.from_pretrained`` can load; return the
    source.

    ``source`` is an upstream ``checkpoints/`` folder, ``model`` one in it (empty: see ``find``).
    ``target`` must not exist; it appears whole or not at all. Raises CheckpointError.
    """
    target = target.expanduser().absolute()
    refuse_existing(target)
    layout = find(source, model)
    if layout.kind == "diffusers":
        raise CheckpointError(f"{layout.model} is in the diffusers format: use it as it is.")
    parts = upstream_parts(layout)
    tokenizer(parts.tokenizer)  # raises if it cannot be read
    for name, part in parts.modules.items():
        compare(build(name, part.config, part.folder), part.tensors, part.folder, part.extra)
    report(f"converting {layout.model}")
    with whole_folder(target) as folder:
        write_diffusers(
            folder,
            {
                name: Draft(
                    {**part.config, **(parts.traits if name == "transformer" else {})},
                    _tensors(part),
                )
                for name, part in parts.modules.items()
            },
            lambda beside: _copy_tokenizer(parts.tokenizer, beside),
            dtype=dtype,
            shard_bytes=shard_bytes,
            report=report,
        )
    report(f"wrote {target}")
    return layout


def _tensors(part: Part) -> Iterator[tuple[str, torch.Tensor]]:
    yield from part.extra.items()
    yield from read(part.tensors)


def _copy_tokenizer(source: Path, target: Path) -> None:
    target.mkdir()
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
