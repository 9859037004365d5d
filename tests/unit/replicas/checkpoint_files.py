"""Checkpoint files that contain a header, and no weights."""

import json
from pathlib import Path


def write_safetensors(file: Path, *shapes: tuple[int, ...]) -> None:
    """A safetensors file without its data, which is not needed for counting."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"t{n}": {"dtype": "BF16", "shape": shape} for n, shape in enumerate(shapes)}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)


def write_config(folder: Path, **values: int) -> None:
    """A config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
