"""The published models: where each is on the hub, where it belongs, and what it needs.

Source: the model list of upstream's README and downloader. Memory of a GPU: docs/operations.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.decoder.checkpoints.layout import (
    DEFAULT_MODEL,
    DIT_PREFIX,
    MAIN_BUNDLE,
    TEXT_ENCODER_FOLDER,
    VAE_FOLDER,
)
from acestep_ray.planner.checkpoint_folder import PREFIX as LM_PREFIX

OWNER = "ACE-Step"
BUNDLED = (DEFAULT_MODEL, f"{LM_PREFIX}1.7B")
"""Models that are folders of the main bundle, and have no repository of their own."""
DIFFUSERS = "-diffusers"
"""End of the names of repositories with a model in the layout of diffusers, which is whole."""


class UnknownModel(ValueError):
    """No model of this name is published; the message lists those that are."""


@dataclass(frozen=True)
class Model:
    """A published model. ``gpu_gb``: GPU memory that its engine needs, GB of 10^9 bytes."""

    name: str
    gpu_gb: float


MODELS = (
    *(
        Model(f"{DIT_PREFIX}{kind}", 8.5)
        for kind in ("turbo", "sft", "base", "turbo-shift1", "turbo-shift3", "turbo-continuous")
    ),
    *(Model(f"{DIT_PREFIX}{kind}", 13.6) for kind in ("xl-turbo", "xl-sft", "xl-base")),
    Model(f"{LM_PREFIX}0.6B", 4.1),
    Model(f"{LM_PREFIX}1.7B", 6.5),
    Model(f"{LM_PREFIX}4B", 11.7),
)


@dataclass(frozen=True)
class Part:
    """Files of one repository. ``folder``: where they belong in the checkpoints folder; empty: in
    itself. ``patterns``: which of them; none: all."""

    repository: str
    folder: str
    patterns: tuple[str, ...] = ()


def parts_of(names: Sequence[str]) -> list[Part]:
    """What to download for these models: names of MODELS, or ``owner/name`` of a repository in the
    layout of diffusers. Each part once. Raises UnknownModel."""
    bundle: list[str] = []
    parts: list[Part] = []
    for name in names:
        if "/" in name:
            parts.append(Part(name, _folder_of(name)))
            continue
        if name not in {model.name for model in MODELS}:
            listed = ", ".join(model.name for model in MODELS)
            raise UnknownModel(
                f"There is no model {name}. Published are: {listed}. Another repository is named "
                "as OWNER/NAME."
            )
        if name in BUNDLED:
            bundle.append(f"{name}/*")
        else:
            parts.append(Part(f"{OWNER}/{name}", name))
        if name.startswith(DIT_PREFIX):
            bundle += [f"{folder}/*" for folder in (VAE_FOLDER, TEXT_ENCODER_FOLDER)]
    if bundle:
        parts.insert(0, Part(MAIN_BUNDLE, "", tuple(dict.fromkeys(bundle))))
    return list(dict.fromkeys(parts))


def _folder_of(repository: str) -> str:
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name:
        raise UnknownModel(f"{repository} is not OWNER/NAME.")
    return name
