"""Recognises a checkpoint from the folder itself.

Two layouts: the upstream ``checkpoints/`` folder (``acestep-v15-*/`` for the diffusion
transformer, beside ``vae/`` and ``Qwen3-Embedding-0.6B/``), and diffusers' (``model_index.json``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from acestep_ray.errors import CheckpointError

DIT_PREFIX = "acestep-v15-"
DEFAULT_MODEL = "acestep-v15-turbo"
VAE_FOLDER = "vae"
TEXT_ENCODER_FOLDER = "Qwen3-Embedding-0.6B"
SILENCE_FILE = "silence_latent.pt"
MAIN_BUNDLE = "ACE-Step/Ace-Step1.5"
MODEL_INDEX = "model_index.json"

LayoutKind = Literal["upstream", "diffusers"]


@dataclass(frozen=True)
class CheckpointLayout:
    """Where one model is."""

    kind: LayoutKind
    name: str
    """The name of the model's folder."""
    model: Path
    """The DiT folder (upstream), or the folder with ``model_index.json``."""
    root: Path
    """The folder that holds ``model`` and, upstream, ``vae/`` and the text encoder."""


def find(folder: Path, model: str = "") -> CheckpointLayout:
    """The model in ``folder`` named ``model``; unnamed: the only one, or ``acestep-v15-turbo``.

    ``folder`` is an upstream ``checkpoints/`` folder, a diffusers folder, or one that holds
    diffusers folders. Raises CheckpointError if no model is found, or too many.
    """
    folder = folder.expanduser().absolute()
    try:
        there = folder.is_dir()
        found = {layout.name: layout for layout in _layouts(folder)} if there else {}
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be read ({error}): check its permissions."
        ) from error
    if not there:
        raise CheckpointError(
            f"{folder} is not a folder: set ACESTEP_CHECKPOINTS to the folder of the checkpoints."
        )
    if not found:
        raise CheckpointError(_nothing_in(folder))
    if model:
        if model not in found:
            raise CheckpointError(
                f"{folder} holds no model named {model}, only {_listed(found)}: "
                f"name one of these or put {model}/ into the folder."
            )
        return found[model]
    if len(found) == 1:
        return next(iter(found.values()))
    if DEFAULT_MODEL in found:
        return found[DEFAULT_MODEL]
    raise CheckpointError(
        f"{folder} holds several models ({_listed(found)}): name the one to load, "
        "or leave only that one in the folder."
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError if there is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: download that folder again.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): download it again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object: download it again.")
    return value


def _layouts(folder: Path) -> list[CheckpointLayout]:
    if (folder / MODEL_INDEX).is_file():
        return [CheckpointLayout("diffusers", folder.name, folder, folder.parent)]
    layouts: list[CheckpointLayout] = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        if (child / MODEL_INDEX).is_file():
            layouts.append(CheckpointLayout("diffusers", child.name, child, folder))
        elif child.name.startswith(DIT_PREFIX):
            layouts.append(CheckpointLayout("upstream", child.name, child, folder))
    return layouts


def _nothing_in(folder: Path) -> str:
    if folder.name.startswith(DIT_PREFIX):
        return (
            f"{folder} is one model's folder without its VAE and text encoder: "
            f"set ACESTEP_CHECKPOINTS to {folder.parent}."
        )
    return (
        f"{folder} holds neither {MODEL_INDEX} nor a folder {DIT_PREFIX}*: "
        f"download {MAIN_BUNDLE} into it, or set ACESTEP_CHECKPOINTS to another folder."
    )


def _listed(found: Mapping[str, CheckpointLayout]) -> str:
    return ", ".join(found)
