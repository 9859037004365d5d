"""What the header of an adapter's file reports, without reading its weights."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AdapterKind = Literal["lora", "lokr"]

LONGEST_HEADER = 16_000_000
"""Bytes. Adapters of all layers of the largest model have less than a tenth of it."""
LORA_PARTS = ("lora_A", "lora_down")
_QUERY = re.compile(r"(self|cross)_attn[._](q_proj|to_q)[.]")
"""In the key of a tensor that reads what the model's layers hand on."""


MOST_NUMBERS = 2**40
"""In a tensor."""
MOST = 1e6
"""Above any rank or alpha."""
_LAYER = re.compile(r"\^?[\w.\\]{1,200}\$?", re.ASCII)
"""Patterns for layers are regular expressions in PEFT; trainers write names. Others could keep a
process busy for hours."""


class BadFile(Exception):
    """A file that cannot be used. The message is the rest of a sentence that begins with it."""


class BadAdapter(Exception):
    """An adapter that cannot be used. The message is one sentence that a client may read."""


@dataclass(frozen=True)
class Header:
    """Names and shapes of the tensors, and the text that the writer of the file added."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> AdapterKind:
        """Raises BadFile if it is neither."""
        if any(".lokr_" in key for key in self.shapes):
            return "lokr"
        if any(part in key for key in self.shapes for part in LORA_PARTS):
            return "lora"
        raise BadFile("holds no weights of a LoRA or LoKr adapter")

    @property
    def rank(self) -> int | None:
        """The highest rank of its matrices; None: a LoKr adapter of whole matrices."""
        matrices = {key: shape for key, shape in self.shapes.items() if len(shape) == 2}
        ranks = [shape[0] for key, shape in matrices.items() if any(p in key for p in LORA_PARTS)]
        ranks += [shape[0] for key, shape in matrices.items() if key.endswith("lokr_w2_b")]
        return max(ranks, default=None)

    @property
    def width(self) -> int | None:
        """Numbers per frame in the layers of the model that it was made for; None: not known."""
        for key, shape in self.shapes.items():
            if not _QUERY.search(key) or len(shape) != 2:
                continue
            if any(part in key for part in LORA_PARTS):
                return shape[1]
            left = self.shapes.get(re.sub(r"lokr_.*", "lokr_w1", key))
            left = left or self.shapes.get(re.sub(r"lokr_.*", "lokr_w1_b", key))
            right = self.shapes.get(re.sub(r"lokr_.*", "lokr_w2", key))
            right = right or self.shapes.get(re.sub(r"lokr_.*", "lokr_w2_b", key))
            if left and right and len(left) == len(right) == 2:
                return left[1] * right[1]
        return None


def header_length(start: bytes) -> int:
    """Length of the header in bytes, from the first eight bytes of the file. Raises BadFile."""
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= LONGEST_HEADER:
        raise BadFile("is no safetensors file")
    return length


def parse_header(text: bytes, size: int) -> Header:
    """The header of a file of ``size`` bytes, from its text. Raises BadFile."""
    try:
        parsed = json.loads(text)
        metadata = parsed.pop("__metadata__", {})
        shapes = {key: tuple(map(int, tensor["shape"])) for key, tensor in parsed.items()}
        ends = [int(tensor["data_offsets"][1]) for tensor in parsed.values()]
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise BadFile("is no safetensors file") from None
    if not all(0 <= one < MOST_NUMBERS for shape in shapes.values() for one in shape):
        raise BadFile("is no safetensors file")
    whole = 8 + len(text) + max(ends, default=0)
    if size != whole:
        raise BadFile(f"has {size:,} of {whole:,} bytes: copy it again")
    if not isinstance(metadata, dict):
        raise BadFile("is no safetensors file")
    return Header(shapes, {str(name): str(value) for name, value in metadata.items()})


def parse_config(text: bytes) -> Mapping[str, Any]:
    """What ``adapter_config.json`` of PEFT holds. Raises BadFile."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFile("has an adapter_config.json that is no JSON") from None
    if not isinstance(config, dict):
        raise BadFile("has an adapter_config.json that is no JSON object")
    kind = str(config.get("peft_type") or "LORA").upper()
    if kind not in ("LORA", "LOKR"):
        raise BadFile(f"is of PEFT's type {kind}: LORA and LOKR can be used")
    for name in ("r", "lora_alpha", "alpha"):
        value = config.get(name)
        if value is not None and not (isinstance(value, int | float) and 0 < value < MOST):
            raise BadFile(f"has an adapter_config.json whose {name} is no number above 0")
    for name in ("rank_pattern", "alpha_pattern"):
        for layer, value in _pattern(config, name).items():
            if not (isinstance(value, int | float) and 0 < value < MOST):
                raise BadFile(f"has an adapter_config.json whose {name} has no number for {layer}")
            if not _LAYER.fullmatch(layer):
                raise BadFile(
                    f"has an adapter_config.json whose {name} has {layer[:80]!r}, which is no name "
                    "of a layer"
                )
    return config


def _pattern(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name) or {}
    if not isinstance(found, dict):
        raise BadFile(f"has an adapter_config.json whose {name} is no object")
    return found
