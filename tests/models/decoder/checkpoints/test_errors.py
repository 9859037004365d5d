"""Every way in which a checkpoint can be broken gives one sentence with the file and the cure."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from safetensors.torch import load_file, save_file

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.errors import CheckpointError

DIT = "acestep-v15-turbo"
TEXT = "Qwen3-Embedding-0.6B"


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder, "", "cpu", torch.float32)
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_tensors(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture
def broken(tmp_path: Path, upstream: Path) -> Path:
    """An upstream folder to break."""
    for name in (DIT, "vae", TEXT):
        shutil.copytree(upstream / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def broken_diffusers(tmp_path: Path, turbo: Path) -> Path:
    return shutil.copytree(turbo, tmp_path / "model")


@pytest.mark.parametrize("name", ["vae", TEXT])
def test_folder_beside_the_dit_is_missing(broken: Path, name: str) -> None:
    shutil.rmtree(broken / name)
    assert refusal(broken) == (
        f"{broken / name} is missing: download ACE-Step/Ace-Step1.5 into {broken}."
    )


@pytest.mark.parametrize(
    "name",
    [
        f"{DIT}/config.json",
        f"{DIT}/model.safetensors",
        f"{DIT}/silence_latent.pt",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        f"{TEXT}/config.json",
        f"{TEXT}/model.safetensors",
        f"{TEXT}/tokenizer.json",
    ],
)
def test_file_is_missing(broken: Path, name: str) -> None:
    (broken / name).unlink()
    assert refusal(broken).startswith(f"{broken / name} is missing: ")


@pytest.mark.parametrize(
    "name",
    ["model_index.json", "vae/config.json", "transformer/diffusion_pytorch_model.safetensors"],
)
def test_diffusers_file_is_missing(broken_diffusers: Path, name: str) -> None:
    (broken_diffusers / name).unlink()
    sentence = refusal(broken_diffusers)
    assert name in sentence


@pytest.mark.parametrize("name", ["tokenizer", "condition_encoder", "audio_tokenizer"])
def test_diffusers_folder_is_missing(broken_diffusers: Path, name: str) -> None:
    shutil.rmtree(broken_diffusers / name)
    assert refusal(broken_diffusers).startswith(f"{broken_diffusers / name} is missing: ")


@pytest.mark.parametrize("name", [f"{DIT}/config.json", "vae/config.json", f"{TEXT}/config.json"])
def test_config_is_cut_off(broken: Path, name: str) -> None:
    file = broken / name
    file.write_bytes(file.read_bytes()[:-20])
    assert re.match(
        rf"{re.escape(str(file))} cannot be read .*: download it again\.", refusal(broken)
    )


@pytest.mark.parametrize("keep", [0, 4, 200, -1000])
@pytest.mark.parametrize("name", [f"{DIT}/model.safetensors", f"{TEXT}/model.safetensors"])
def test_weights_are_cut_off(broken: Path, name: str, keep: int) -> None:
    """As they are after an interrupted download."""
    file = broken / name
    file.write_bytes(file.read_bytes()[:keep])
    assert refusal(broken).startswith(f"{file} is truncated or no safetensors file ")


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_silence_is_no_tensor(broken: Path, content: bytes) -> None:
    (broken / DIT / "silence_latent.pt").write_bytes(content)
    assert "silence_latent.pt is no tensor that torch can read: download" in refusal(broken)


def test_silence_is_cut_off(broken: Path) -> None:
    file = broken / DIT / "silence_latent.pt"
    file.write_bytes(file.read_bytes()[:-5000])
    assert "silence_latent.pt is no tensor that torch can read: download" in refusal(broken)


@pytest.mark.parametrize("wrong", [torch.ones(1, 15000, 64), torch.ones(1, 64, 750), {"a": 1}])
def test_silence_has_another_shape(broken: Path, wrong: Any) -> None:
    torch.save(wrong, broken / DIT / "silence_latent.pt")
    assert "silence_latent.pt holds no tensor of shape [1, 64, 15000]" in refusal(broken)


def test_silence_is_code(broken: Path, tmp_path: Path) -> None:
    """A pickle that would run code is not executed."""

    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(Touch(), broken / DIT / "silence_latent.pt")
    assert "silence_latent.pt is no tensor" in refusal(broken)
    assert not (tmp_path / "ran").exists()


def test_silence_of_zeros(broken: Path) -> None:
    torch.save(torch.zeros(1, 64, 15000), broken / DIT / "silence_latent.pt")
    assert "a silence_latent of zeros" in refusal(broken)


def test_tensors_are_missing(broken: Path) -> None:
    edit_tensors(
        broken / DIT / "model.safetensors",
        lambda tensors: tensors.pop("decoder.layers.1.cross_attn.q_proj.weight"),
    )
    assert f"{broken / DIT} lacks the tensor layers.1.cross_attn.to_q.weight: " in refusal(broken)


def test_one_half_of_the_audio_tokenizer_is_missing(broken: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("detokenizer.")]:
            del tensors[name]

    edit_tensors(broken / DIT / "model.safetensors", drop)
    assert re.search(r"lacks the tensor .* and \d+ more: ", refusal(broken))


def test_one_half_is_missing_in_the_index(broken_diffusers: Path) -> None:
    edit_json(broken_diffusers / "model_index.json", audio_token_detokenizer=[None, None])
    assert "lists audio_tokenizer without its other half" in refusal(broken_diffusers)


def test_more_tensors_than_the_config_has_layers(broken: Path) -> None:
    edit_json(broken / DIT / "config.json", num_hidden_layers=1, layer_types=["full_attention"])
    assert re.search(r"holds the tensor layers\.1\..* that the model lacks: ", refusal(broken))


def test_shapes_do_not_fit_the_config(broken: Path) -> None:
    edit_json(broken / DIT / "config.json", intermediate_size=128)
    sentence = refusal(broken)
    assert "in shape [64, 32] where config.json asks for [128, 32]" in sentence
    assert "config.json and weights do not belong together" in sentence


def test_nothing_is_read_before_all_is_compared(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the last part is found in a second, not after minutes of reading the first."""
    edit_json(broken / TEXT / "config.json", intermediate_size=128)
    monkeypatch.setattr("acestep_ray.decoder.checkpoints.load.fill", lambda *_: pytest.fail())
    assert str(broken / TEXT) in refusal(broken)


def test_a_librarys_error_of_several_lines_is_one_sentence(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def several(config: object) -> None:
        raise TypeError("empty() takes one of:\n * (size)\n * (size, names)\n")

    monkeypatch.setattr(AceStepTransformer1DModel, "from_config", several)
    assert "(empty() takes one of: * (size) * (size, names))" in refusal(broken)


@pytest.mark.parametrize(
    ("key", "value"), [("num_attention_heads", "many"), ("hidden_size", None), ("head_dim", [8])]
)
def test_config_makes_no_module(broken: Path, key: str, value: Any) -> None:
    edit_json(broken / DIT / "config.json", **{key: value})
    assert str(broken / DIT / "config.json") in refusal(broken)


def test_text_encoder_of_another_kind(broken: Path) -> None:
    edit_json(broken / TEXT / "config.json", model_type="bert")
    assert "makes no text_encoder (model_type is bert, not qwen3)" in refusal(broken)


def test_quantised_weights(broken: Path) -> None:
    def quantise(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.proj_in.1.weight"] = torch.ones(32, 192, 2, dtype=torch.int8)

    edit_tensors(broken / DIT / "model.safetensors", quantise)
    assert "stores decoder.proj_in.1.weight as I8: quantised" in refusal(broken)


def test_pipeline_of_another_model(broken_diffusers: Path) -> None:
    edit_json(broken_diffusers / "model_index.json", _class_name="StableAudioPipeline")
    assert "is of StableAudioPipeline, not of AceStepPipeline" in refusal(broken_diffusers)


def test_tokenizer_is_broken(broken: Path) -> None:
    (broken / TEXT / "tokenizer.json").write_text("{}")
    assert f"{broken / TEXT / 'tokenizer.json'} cannot be read" in refusal(broken)


def test_folder_is_another_users(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(broken / DIT / "config.json"))

    monkeypatch.setattr("acestep_ray.decoder.checkpoints.load.upstream_parts", denied)
    assert "Permission denied" in refusal(broken)


class TestShards:
    """A sharded download in which one part is missing."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        return make_tiny_checkpoint(tmp_path, shard_bytes=100_000)

    def test_shard_is_missing(self, model: Path) -> None:
        shard = sorted(model.glob("model-*.safetensors"))[1]
        shard.unlink()
        assert refusal(model.parent).startswith(f"{shard} is missing: ")

    def test_index_promises_what_no_shard_has(self, model: Path) -> None:
        index = model / "model.safetensors.index.json"
        places = json.loads(index.read_text())["weight_map"]
        shards = sorted(set(places.values()))
        name = next(name for name, shard in places.items() if shard == shards[0])
        edit_json(index, weight_map=places | {name: shards[1]})
        assert f"{model / shards[1]} lacks the tensor {name} that" in refusal(model.parent)

    @pytest.mark.parametrize("places", [None, ["a"], {"a": 1}])
    def test_index_is_no_index(self, model: Path, places: Any) -> None:
        edit_json(model / "model.safetensors.index.json", weight_map=places)
        assert "index.json has no weight_map" in refusal(model.parent)

    def test_index_names_no_file_outside_its_folder(self, model: Path) -> None:
        index = model / "model.safetensors.index.json"
        places = json.loads(index.read_text())["weight_map"]
        save_file({}, model.parent / "elsewhere.safetensors")
        edit_json(index, weight_map=dict.fromkeys(places, "../elsewhere.safetensors"))
        assert refusal(model.parent).startswith(f"{model / 'elsewhere.safetensors'} is missing: ")
