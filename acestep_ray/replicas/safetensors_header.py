"""What the headers of safetensors files report: how many numbers they hold, and how long a whole
file is."""

import json
import math
from pathlib import Path
from typing import Any

from acestep_ray.errors import CheckpointError

_LONGEST_HEADER = 100_000_000
"""Bytes, the format's own limit."""
_METADATA = "__metadata__"
_GIT_LFS = b"version https://git-lfs"


def parameters_in(*folders: Path) -> int:
    """Numbers in all safetensors files of the folders and of those below them.

    Raises CheckpointError for a file that cannot be read.
    """
    files = {file for folder in folders for file in folder.rglob("*.safetensors")}
    return sum(_parameters(file) for file in files)


def parameters_named(folder: Path, prefix: str, *, matrices: bool = False) -> int:
    """Numbers in all tensors whose names begin with ``prefix``, in the files of the folder;
    ``matrices``: in those of two dimensions alone. Raises CheckpointError."""
    return sum(
        math.prod(shape)
        for file in folder.glob("*.safetensors")
        for name, shape in _shapes(file).items()
        if name.startswith(prefix) and (len(shape) == 2 or not matrices)
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The object in ``config.json``. Raises CheckpointError."""
    file = folder / "config.json"
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): download it again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} holds no JSON object: download it again.")
    return value


def refuse_damaged(file: Path) -> None:
    """Raise CheckpointError if the file is not exactly as long as its header requires, or has none.
    Raises OSError if it cannot be read."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(len(_GIT_LFS))
    if start == _GIT_LFS:
        raise CheckpointError(
            f"{file} is a pointer of Git LFS, not the weights: run `git lfs pull` in its folder."
        )
    length, header = _header(file)
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != _METADATA]
        whole = 8 + length + max(ends, default=0)
    except (TypeError, KeyError, IndexError) as error:
        raise _unreadable(file, error) from None
    if size != whole:
        raise CheckpointError(
            f"{file} has {size:,} of {whole:,} bytes: its download did not end well, download it "
            "again."
        )


def _parameters(file: Path) -> int:
    return sum(map(math.prod, _shapes(file).values()))


def _shapes(file: Path) -> dict[str, list[int]]:
    """The shapes of all tensors, by name. Raises CheckpointError."""
    try:
        _, header = _header(file)
        tensors = {name: tensor for name, tensor in header.items() if name != _METADATA}
        return {name: [int(n) for n in tensor["shape"]] for name, tensor in tensors.items()}
    except (OSError, TypeError, KeyError, ValueError) as error:
        raise _unreadable(file, error) from None


def _header(file: Path) -> tuple[int, dict[str, Any]]:
    """Its length in bytes, and its content. The format: eight bytes, the header's length; then the
    header, JSON. Raises CheckpointError, OSError."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        text = opened.read(min(length, _LONGEST_HEADER))
    try:
        header = json.loads(text)
    except ValueError as error:
        raise _unreadable(file, error) from None
    if not isinstance(header, dict):
        raise _unreadable(file, "no JSON object")
    return length, header


def _unreadable(file: Path, why: object) -> CheckpointError:
    return CheckpointError(f"{file} cannot be read ({why}): download it again.")
