"""Files of adapters whose weights are zeros, written without torch."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

LAYER = "base_model.model.layers.0.self_attn.q_proj"
WIDTH = 32
LORA = {f"{LAYER}.lora_A.weight": (4, WIDTH), f"{LAYER}.lora_B.weight": (WIDTH, 4)}


def write_weights(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]] = LORA,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A safetensors file of float32 zeros."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
    return file


def write_peft(folder: Path, **config: object) -> Path:
    """A folder as PEFT writes it."""
    write_weights(folder / "adapter_model.safetensors")
    values = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | config
    (folder / "adapter_config.json").write_text(json.dumps(values))
    return folder
