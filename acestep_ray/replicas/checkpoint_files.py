"""Whether the files of the models that the settings choose are there, and whole.

Only names, sizes and headers are read, without torch: a download that did not end is found in
milliseconds, before an engine would fail on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acestep_ray.decoder.checkpoints.layout import (
    MAIN_BUNDLE,
    MODEL_INDEX,
    SILENCE_FILE,
    TEXT_ENCODER_FOLDER,
    VAE_FOLDER,
    CheckpointLayout,
    find,
    read_json,
)
from acestep_ray.errors import CheckpointError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.planners import planners_of
from acestep_ray.replicas.safetensors_header import refuse_damaged
from acestep_ray.settings import Settings

_DIFFUSERS_WEIGHTS = "diffusion_pytorch_model"


@dataclass(frozen=True)
class ModelFolder:
    """A folder that an engine reads. ``weights``: name of its safetensors file, without its end;
    empty: it has none. ``others``: files that must be in it, too."""

    folder: Path
    weights: str
    others: tuple[str, ...] = ("config.json",)


def check_files(settings: Settings) -> list[str]:
    """Names of the models that the real engines of ``settings`` load from ``settings.checkpoints``.

    Raises CheckpointError for the first file that is missing, cut off or cannot be read.
    """
    models: dict[str, list[ModelFolder]] = {}
    for decoder in decoders_of(settings):
        if decoder.settings.decoder != "mock" and settings.checkpoints is not None:
            layout = find(settings.checkpoints, decoder.settings.dit.model)
            models[layout.name] = list(_of_decoder(layout))
    for spec in planners_of(settings):
        if spec.settings.planner != "mock":
            folder = find_lm(settings.checkpoints, spec.settings.lm.model)
            models[folder.name] = [ModelFolder(folder, "model", ("config.json", "tokenizer.json"))]
    for folders in models.values():
        for part in folders:
            _check(part)
    return list(models)


def _of_decoder(layout: CheckpointLayout) -> Iterator[ModelFolder]:
    if layout.kind == "upstream":
        yield ModelFolder(layout.model, "model", ("config.json", SILENCE_FILE))
        yield ModelFolder(layout.root / VAE_FOLDER, _DIFFUSERS_WEIGHTS)
        text = layout.root / TEXT_ENCODER_FOLDER
        yield ModelFolder(text, "model", ("config.json", "tokenizer.json"))
        return
    for name in ("transformer", "condition_encoder", VAE_FOLDER):
        yield ModelFolder(layout.model / name, _DIFFUSERS_WEIGHTS)
    yield ModelFolder(layout.model / "text_encoder", "model")
    yield ModelFolder(layout.model / "tokenizer", "", ("tokenizer.json",))
    for name, classes in read_json(layout.model / MODEL_INDEX).items():
        if name in ("audio_tokenizer", "audio_token_detokenizer") and classes and classes[1]:
            yield ModelFolder(layout.model / name, _DIFFUSERS_WEIGHTS)


def _check(part: ModelFolder) -> None:
    if not part.folder.is_dir():
        raise CheckpointError(
            f"{part.folder} is missing: download {MAIN_BUNDLE} again, or name another folder in "
            "ACESTEP_CHECKPOINTS."
        )
    try:
        for name in part.others:
            with (part.folder / name).open("rb") as opened:
                empty = not opened.read(1)
            if empty:
                raise CheckpointError(f"{part.folder / name} is empty: download it again.")
            if name == "config.json":
                read_json(part.folder / name)
        for file in _weights(part):
            refuse_damaged(file)
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename} is missing: download that folder again.") from None
    except OSError as error:
        raise CheckpointError(
            f"{error.filename} cannot be read ({error.strerror}): let this user read it."
        ) from None


def _weights(part: ModelFolder) -> list[Path]:
    """One file, or the shards that its index names."""
    single = part.folder / f"{part.weights}.safetensors"
    index = part.folder / f"{part.weights}.safetensors.index.json"
    if not part.weights:
        return []
    if single.is_file() or not index.is_file():
        return [single]
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict):
        raise CheckpointError(f"{index} has no weight_map: download it again.")
    return [part.folder / Path(str(shard)).name for shard in sorted(set(places.values()))]
