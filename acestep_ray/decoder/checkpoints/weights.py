"""Tensors in safetensors files: listing them, and loading them into a module.

Names and shapes are compared before any weights are read. Then each tensor is copied from the
mapped file directly to its place on the device, in the target dtype. The file is mapped again after
every ``READ_BYTES``, so that pages that were already copied no longer count as the process's
memory: at the peak it holds the weights once, plus ``READ_BYTES``.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from acestep_ray.decoder.checkpoints.layout import read_json
from acestep_ray.errors import CheckpointError

READ_BYTES = 64 * 1024**2
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes per number, for the types that weights may be stored in."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file, not read yet."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    position: int
    """Its place in the file, counted in tensors."""

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * FLOATS[self.dtype]


def stored_tensors(folder: Path, stem: str) -> dict[str, StoredTensor]:
    """Tensors of ``STEM.safetensors``, or of the shards in ``STEM.safetensors.index.json``.

    Raises CheckpointError for missing, truncated and quantised files.
    """
    single = folder / f"{stem}.safetensors"
    index = folder / f"{stem}.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return _header(single)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(f, str) for f in places.values()):
        raise CheckpointError(f"{index} has no weight_map: download it again.")
    found: dict[str, StoredTensor] = {}
    for file in sorted(set(places.values())):
        shard = _header(folder / Path(file).name)
        for name in (name for name, place in places.items() if place == file):
            if name not in shard:
                raise CheckpointError(
                    f"{folder / file} lacks the tensor {name} that {index.name} promises: "
                    "download both again."
                )
            found[name] = shard[name]
    return found


def compare(
    module: nn.Module,
    tensors: Mapping[str, StoredTensor],
    folder: Path,
    extra: Mapping[str, torch.Tensor],
) -> None:
    """Raise CheckpointError unless these are exactly the module's tensors, each in its shape.

    ``tensors``, and ``extra`` ones that are in memory, are keyed by the module's own names;
    ``folder`` is named in the error.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    there = {name: stored.shape for name, stored in tensors.items()}
    there |= {name: tuple(tensor.shape) for name, tensor in extra.items()}
    cure = "config.json and weights do not belong together, download the folder again."
    if missing := sorted(wanted.keys() - there.keys()):
        raise CheckpointError(f"{folder} lacks {_first(missing)}: {cure}")
    if unknown := sorted(there.keys() - wanted.keys()):
        raise CheckpointError(f"{folder} holds {_first(unknown)} that the model lacks: {cure}")
    for name, shape in wanted.items():
        if shape != there[name]:
            raise CheckpointError(
                f"{folder} holds the tensor {name} in shape {list(there[name])} "
                f"where config.json asks for {list(shape)}: {cure}"
            )


def fill(
    module: nn.Module,
    tensors: Mapping[str, StoredTensor],
    extra: Mapping[str, torch.Tensor],
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Put the tensors into a module on the meta device; ``compare`` has already checked them."""
    state = {name: tensor.to(device, dtype) for name, tensor in extra.items()}
    for name, tensor in read(tensors):
        state[name] = tensor.to(device, dtype, copy=True)
    module.load_state_dict(state, strict=True, assign=True)


def read(tensors: Mapping[str, StoredTensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Mapped tensors in the order in which they are on disk. Copy one before you take the next."""
    ordered = sorted(tensors.items(), key=lambda item: (item[1].file, item[1].position))
    for file, batch in _batches(ordered):
        try:
            with safe_open(file, framework="pt") as opened:
                for name, stored in batch:
                    yield name, opened.get_tensor(stored.name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read ({error}): download it again.") from None


def _header(file: Path) -> dict[str, StoredTensor]:
    if not file.is_file():
        raise CheckpointError(f"{file} is missing: download that folder again.")
    try:
        with safe_open(file, framework="pt") as opened:
            found: dict[str, StoredTensor] = {}
            for position, name in enumerate(opened.offset_keys()):
                part = opened.get_slice(name)
                found[name] = StoredTensor(
                    file, name, tuple(part.get_shape()), part.get_dtype(), position
                )
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is truncated or no safetensors file ({error}): download it again."
        ) from None
    for name, stored in found.items():
        if stored.dtype not in FLOATS:
            raise CheckpointError(
                f"{file} stores {name} as {stored.dtype}: quantised checkpoints cannot be loaded, "
                "take the bf16 or fp32 one."
            )
    return found


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"the tensor {names[0]}{more}"


def _batches(
    ordered: Iterable[tuple[str, StoredTensor]],
) -> Iterator[tuple[Path, list[tuple[str, StoredTensor]]]]:
    batch: list[tuple[str, StoredTensor]] = []
    size = 0
    for name, stored in ordered:
        if batch and (batch[0][1].file != stored.file or size + stored.nbytes > READ_BYTES):
            yield batch[0][1].file, batch
            batch, size = [], 0
        batch.append((name, stored))
        size += stored.nbytes
    if batch:
        yield batch[0][1].file, batch
