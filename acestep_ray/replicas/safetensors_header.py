"""How many numbers a checkpoint holds, by the headers of its safetensors files."""

import json
import math
from pathlib import Path
from typing import Any

from acestep_ray.errors import CheckpointError

_LONGEST_HEADER = 100_000_000
"""Bytes, the format's own limit."""


def parameters_in(*folders: Path) -> int:
    """Numbers in all safetensors files of the folders and of those below them.

    Raises CheckpointError for a file that cannot be read.
    """
    files = {file for folder in folders for file in folder.rglob("*.safetensors")}
    return sum(_parameters(file) for file in files)


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


def _parameters(file: Path) -> int:
    """The format: eight bytes, the header's length; then the header, JSON."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(min(length, _LONGEST_HEADER)))
        tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
        return sum(math.prod(tensor["shape"]) for tensor in tensors)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): download it again.") from None
