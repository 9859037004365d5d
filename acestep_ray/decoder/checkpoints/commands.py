"""The commands ``acestep-ray convert`` and ``acestep-ray make-tiny-checkpoint``."""

from collections.abc import Callable
from pathlib import Path

import torch

from acestep_ray.decoder.checkpoints import convert as converting
from acestep_ray.decoder.checkpoints import tiny
from acestep_ray.decoder.checkpoints.layout import LayoutKind
from acestep_ray.decoder.checkpoints.sizes import SIZES

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def convert(
    source: Path,
    target: Path,
    model: str = "",
    dtype: str = "bf16",
    show: Callable[[str], None] = print,
) -> None:
    """Convert, and print what is being written. Raises CheckpointError."""
    converting.convert_checkpoint(source, target, model, DTYPES[dtype], report=show)


def make_tiny_checkpoint(
    folder: Path,
    layout: LayoutKind = "upstream",
    base: bool = False,
    seed: int = 0,
    *,
    size: str = "tiny",
    show: Callable[[str], None] = print,
) -> None:
    """Make a checkpoint of random weights, and print what is written. Raises CheckpointError."""
    model = tiny.make_tiny_checkpoint(folder, layout, not base, seed, size=SIZES[size], report=show)
    show(f"wrote {model}")
