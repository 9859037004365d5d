"""A 5Hz LM's checkpoint folder, as it was published: checked before any engine loads it.

Only the headers of the files are read here, so the check needs almost no memory and no time.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import Qwen3Config, Qwen3ForCausalLM

from acestep_ray.errors import CheckpointError
from acestep_ray.planner.tokens import VOCABULARY, LmTokenizer

logger = logging.getLogger(__name__)
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True)
class LmCheckpoint:
    """A checkpoint that has been checked: its tensors are those of the model."""

    folder: Path
    config: Qwen3Config
    tokenizer: LmTokenizer
    tensors: dict[str, tuple[Path, str]]
    """For each of transformers' names: the file, and the name in that file. Without a tied head."""
    parameters: int
    """How many numbers the tensors hold."""

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding."""
        return bool(self.config.tie_word_embeddings)


def open_checkpoint(folder: Path) -> LmCheckpoint:
    """Check a checkpoint. Raises CheckpointError; its message is one sentence that names what is
    wrong."""
    config = _config(folder)
    try:
        wanted = tensor_shapes(config)
    except Exception as error:  # transformers raises many kinds of errors for a bad value
        raise CheckpointError(
            f"{folder / 'config.json'} makes no model ({error!r}): download that folder again."
        ) from error
    found = _headers(folder)
    _check(folder, {name: shape for name, (_, _, shape) in found.items()}, wanted)
    try:
        tokenizer = LmTokenizer.load(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    return LmCheckpoint(
        folder=folder,
        config=config,
        tokenizer=tokenizer,
        tensors={name: found[name][:2] for name in wanted},
        parameters=sum(torch.Size(shape).numel() for shape in wanted.values()),
    )


def tensor_shapes(config: Qwen3Config) -> dict[str, tuple[int, ...]]:
    """The tensors that a model needs, by transformers' names, without a tied head."""
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        shapes.pop(HEAD, None)
    return shapes


def full_name(name: str) -> str:
    """transformers' name of a stored tensor: some checkpoints leave out ``model.``."""
    return name if name.startswith(("model.", "lm_head.")) else f"model.{name}"


def _config(folder: Path) -> Qwen3Config:
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{folder} has no config.json.")
    try:
        values = json.loads(file.read_text("utf-8"))
        kind = values.get("model_type") if isinstance(values, dict) else None
        if kind != "qwen3":
            raise CheckpointError(f"{file} is of a {kind} model, not of a qwen3 one.")
        config = Qwen3Config.from_dict(values)
    except CheckpointError:
        raise
    except Exception as error:  # transformers' classes raise errors of their own for bad fields
        raise CheckpointError(
            f"{file} cannot be read: {error}: download that folder again."
        ) from error
    if config.vocab_size < VOCABULARY:
        raise CheckpointError(
            f"{file} is not a 5Hz LM's: its vocabulary has {config.vocab_size} tokens, "
            f"not {VOCABULARY}."
        )
    if set(config.layer_types or ()) != {"full_attention"}:
        raise CheckpointError(f"{file} asks for sliding attention, which a 5Hz LM does not have.")
    return config


def _headers(folder: Path) -> dict[str, tuple[Path, str, tuple[int, ...]]]:
    """Every tensor of the folder by its full name: file, name in the file, shape."""
    tensors: dict[str, tuple[Path, str, tuple[int, ...]]] = {}
    for file in _files(folder):
        if not file.is_file():
            raise CheckpointError(f"{folder} has no {file.name}.")
        try:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118  (it is not a mapping)
                    shape = tuple(opened.get_slice(name).get_shape())
                    tensors[full_name(name)] = (file, name, shape)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}: download it again.") from None
    return tensors


def _files(folder: Path) -> list[Path]:
    """One file, or the shards."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return [folder / "model.safetensors"]
    try:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return [folder / Path(shard).name for shard in sorted(shards)]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(f"{index} cannot be read as an index of shards.") from None


def _check(
    folder: Path, found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]
) -> None:
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        more = f" and {len(missing) - 1} more tensors" if len(missing) > 1 else ""
        raise CheckpointError(f"{folder} lacks {missing[0]}{more}.")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{folder} does not fit its config.json: {name} is of shape "
                f"{found[name]}, not {shape}."
            )
    unknown = sorted(found.keys() - wanted.keys() - {HEAD})
    if unknown:
        logger.warning("%s: %d tensors are not used: %s, …", folder, len(unknown), unknown[0])
