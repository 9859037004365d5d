"""Checkpoints load as they are published; a broken one is refused in one sentence."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from acestep_ray.errors import CheckpointError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.settings import Lm

CPU = Lm(device="cpu")
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def lm(folder: Path) -> LanguageModel:
    return load_lm(folder, CPU)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The checkpoint, to be damaged; large files are links."""
    there = tmp_path / "acestep-5Hz-lm-copy"
    there.mkdir()
    shutil.copy(folder / "config.json", there)
    for name in ("tokenizer.json", "model.safetensors"):
        os.link(folder / name, there / name)
    return there


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    tensors = change(load_file(file))
    file.unlink()
    save_file(tensors, file)


def configure(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def logits(lm: LanguageModel) -> Tensor:
    ids = torch.tensor([[151_644, 8948, 198, 151_669, 215_668]])
    found: Tensor = lm.model(input_ids=ids).logits
    return found


def test_a_published_checkpoint(lm: LanguageModel) -> None:
    assert lm.name == "acestep-5Hz-lm-tiny"
    assert lm.device.type == "cpu"
    assert lm.model.dtype == torch.float32
    assert not lm.model.training
    head, embedding = lm.model.lm_head.weight, lm.model.model.embed_tokens.weight
    assert head.data_ptr() == embedding.data_ptr()
    assert not any(tensor.is_meta for tensor in (*lm.model.parameters(), *lm.model.buffers()))
    assert lm.model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert lm.static is None


def test_names_without_their_prefix(copy: Path, lm: LanguageModel) -> None:
    rewrite(copy, lambda all: {name.removeprefix("model."): one for name, one in all.items()})
    assert torch.equal(logits(load_lm(copy, CPU)), logits(lm))


def test_shards(copy: Path, lm: LanguageModel) -> None:
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, copy / file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert torch.equal(logits(load_lm(copy, CPU)), logits(lm))
    (copy / "b.safetensors").unlink()
    refused(copy, "has no b.safetensors.")


def test_a_head_of_its_own(copy: Path, lm: LanguageModel) -> None:
    configure(copy, tie_word_embeddings=False)
    refused(copy, "lacks lm_head.weight.")
    rewrite(copy, lambda all: all | {"lm_head.weight": all[EMBEDDING] * 2})
    assert torch.equal(logits(load_lm(copy, CPU)), logits(lm) * 2)
    # If the head is tied again, the stored head does not count.
    configure(copy, tie_word_embeddings=True)
    assert torch.equal(logits(load_lm(copy, CPU)), logits(lm))


def test_tensors_of_no_use_are_told_and_left(
    copy: Path, lm: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(copy, lambda all: all | {"extra": torch.ones(1)})
    assert torch.equal(logits(load_lm(copy, CPU)), logits(lm))
    assert "1 tensors are not used: model.extra" in caplog.text


def test_half_precision_weights_become_float32_on_a_cpu(copy: Path) -> None:
    rewrite(copy, lambda all: {name: one.bfloat16() for name, one in all.items()})
    assert load_lm(copy, CPU).model.dtype == torch.float32


def refused(folder: Path, sentence: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_lm(folder, CPU)
    message = str(caught.value)
    assert sentence in message
    assert str(folder) in message
    assert message.endswith(".")
    assert "\n" not in message


def test_a_missing_file_is_named(copy: Path) -> None:
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        (copy / name).unlink()
        refused(copy, f"has no {name}.")
    refused(copy.parent / "nowhere", "has no config.json.")


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\xff"])
def test_a_config_that_is_none(copy: Path, text: str) -> None:
    (copy / "config.json").write_bytes(text.encode("latin-1"))
    refused(copy, "config.json")


def test_another_model(copy: Path) -> None:
    configure(copy, model_type="llama")
    refused(copy, "config.json is of a llama model, not of a qwen3 one.")
    configure(copy, model_type="qwen3", vocab_size=151_936)
    refused(copy, "its vocabulary has 151936 tokens, not 217204.")
    configure(copy, vocab_size=217_204, use_sliding_window=True, sliding_window=64)
    configure(copy, max_window_layers=0)
    refused(copy, "sliding attention")


def test_weights_that_do_not_fit(copy: Path) -> None:
    rewrite(copy, lambda all: all | {"model.norm.weight": torch.ones(7)})
    refused(copy, "model.norm.weight is of shape (7,), not (32,).")
    rewrite(copy, lambda all: {name: one for name, one in all.items() if "norm" not in name})
    refused(copy, "lacks model.layers.0.input_layernorm.weight and 8 more tensors.")


def test_weights_that_are_cut_off(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(copy, "model.safetensors cannot be read:")


def test_an_index_that_is_none(copy: Path) -> None:
    for text in ("{", "[]", "{}", '{"weight_map": 1}'):
        (copy / "model.safetensors.index.json").write_text(text)
        refused(copy, "cannot be read as an index of shards.")


def test_a_shard_is_looked_for_in_the_folder_alone(copy: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "../../secret.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(copy, "has no secret.safetensors.")


def test_another_tokenizer(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").write_text("{}")
    refused(copy, "tokenizer.json cannot be read:")
    empty = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}
    (copy / "tokenizer.json").write_text(json.dumps(empty))
    refused(copy, "tokenizer.json is not a 5Hz LM's: its id of <|endoftext|> is None, not 151643.")


def test_a_language_model_is_found_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="ACESTEP_CHECKPOINTS"):
        find_lm(None)
    with pytest.raises(CheckpointError, match=r"has no acestep-5Hz-lm-\*; there are: none"):
        find_lm(tmp_path)
    for name in ("acestep-5Hz-lm-4B", "acestep-5Hz-lm-0.6B", "acestep-v15-turbo"):
        (tmp_path / name).mkdir()
    assert find_lm(tmp_path) == tmp_path / "acestep-5Hz-lm-0.6B"
    assert find_lm(tmp_path, "acestep-5Hz-lm-4B") == tmp_path / "acestep-5Hz-lm-4B"
    for name in ("acestep-v15-turbo", "../x"):
        with pytest.raises(CheckpointError, match=r"there are: acestep-5Hz-lm-0\.6B, "):
            find_lm(tmp_path, name)
