"""Small checkpoint files: a header without weights, and whole folders."""

import json
import math
from collections.abc import Mapping
from pathlib import Path


def write_safetensors(file: Path, *shapes: tuple[int, ...]) -> None:
    """As ``write_tensors``, of tensors whose names do not matter."""
    write_tensors(file, {f"t{number}": shape for number, shape in enumerate(shapes)})


def write_tensors(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A safetensors file without its data, which is not needed for counting."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: {"dtype": "BF16", "shape": shape} for name, shape in shapes.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)


def write_config(folder: Path, **values: int) -> None:
    """A config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))


def write_whole(file: Path, *shapes: tuple[int, ...]) -> None:
    """A whole safetensors file, whose weights are zeros."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for number, shape in enumerate(shapes):
        start, end = end, end + 2 * math.prod(shape)
        tensors[f"t{number}"] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(tensors).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(end))


def write_upstream(folder: Path, lm: str = "acestep-5Hz-lm-0.6B") -> None:
    """An upstream folder of checkpoints with all files, none of which holds a model."""
    model, text = folder / "acestep-v15-turbo", folder / "Qwen3-Embedding-0.6B"
    write_whole(model / "model.safetensors", (1000, 1000))
    write_whole(folder / "vae" / "diffusion_pytorch_model.safetensors", (1000,))
    write_whole(text / "model.safetensors", (1000,))
    write_whole(folder / lm / "model.safetensors", (1000, 1000))
    write_config(model, hidden_size=2048, intermediate_size=6144)
    write_config(folder / "vae")
    write_config(text)
    write_config(folder / lm, num_key_value_heads=8, head_dim=128, num_hidden_layers=28)
    (model / "silence_latent.pt").write_bytes(b"silence")
    for name in (text, folder / lm):
        (name / "tokenizer.json").write_text("{}")
