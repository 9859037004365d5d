"""``acestep-ray convert``: the diffusers format from upstream, whole or not at all."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AceStepPipeline
from safetensors import safe_open

from acestep_ray.decoder.checkpoints import write
from acestep_ray.decoder.checkpoints.convert import convert_checkpoint
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.errors import CheckpointError


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("shard_bytes", [10**9, 100_000])
def test_plain_diffusers_loads_the_result_and_makes_the_same_music(
    shard_bytes: int, tmp_path: Path, upstream: Path, loaded: Any, generate: Any
) -> None:
    target = tmp_path / "deep" / "turbo"
    convert_checkpoint(upstream, target, shard_bytes=shard_bytes)
    plain: Any = AceStepPipeline
    theirs = plain.from_pretrained(target, dtype=torch.bfloat16)
    theirs.set_progress_bar_config(disable=True)
    ours = loaded(upstream, "acestep-v15-turbo", torch.bfloat16).pipeline
    assert torch.equal(generate(theirs), generate(ours))
    codes = {"audio_codes": "<|audio_code_4242|>" * 20}
    assert torch.equal(generate(theirs, **codes), generate(ours, **codes))


def test_result_is_what_make_tiny_checkpoint_writes(
    tmp_path: Path, upstream: Path, base: Path
) -> None:
    target = tmp_path / "base"
    convert_checkpoint(upstream, target, "acestep-v15-base")
    files = sorted(path.relative_to(base) for path in base.rglob("*") if path.is_file())
    assert sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file()) == files
    for file in files:
        if file.suffix == ".json":
            assert json.loads((target / file).read_text()) == json.loads((base / file).read_text())


def test_dtype_is_as_asked(tmp_path: Path, upstream: Path) -> None:
    convert_checkpoint(upstream, tmp_path / "wide", dtype=torch.float32)
    for file in (tmp_path / "wide").rglob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            assert {opened.get_slice(name).get_dtype() for name in opened.offset_keys()} == {"F32"}


def test_without_audio_tokenizer(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path / "up", audio_tokenizer=False)
    convert_checkpoint(tmp_path / "up", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model_index.json").read_text())
    assert index["audio_tokenizer"] == index["audio_token_detokenizer"] == [None, None]
    assert not load(tmp_path / "out", "", "cpu", torch.bfloat16).info.has_audio_tokenizer


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(tensors: Any, file: Path, metadata: Any) -> None:
        written.append(file)
        file.write_bytes(b"half")
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        convert_checkpoint(upstream, tmp_path / "out")
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_interrupted_leaves_nothing(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(upstream, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_target_must_be_new_or_empty(tmp_path: Path, upstream: Path) -> None:
    (tmp_path / "out").mkdir()
    convert_checkpoint(upstream, tmp_path / "out")
    with pytest.raises(CheckpointError, match="out exists already: remove it or write elsewhere"):
        convert_checkpoint(upstream, tmp_path / "out")


def test_target_below_a_file(tmp_path: Path, upstream: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert_checkpoint(upstream, tmp_path / "file" / "out")


def test_diffusers_source_is_told_so(tmp_path: Path, turbo: Path) -> None:
    with pytest.raises(CheckpointError, match="is in the diffusers format: use it as it is"):
        convert_checkpoint(turbo, tmp_path / "out")


def test_a_broken_source_is_told_before_anything_is_written(tmp_path: Path) -> None:
    model = make_tiny_checkpoint(tmp_path / "up")
    (model / "silence_latent.pt").unlink()
    with pytest.raises(CheckpointError, match=r"silence_latent\.pt is missing"):
        convert_checkpoint(tmp_path / "up", tmp_path / "out")
    assert not (tmp_path / "out").exists()
