"""What an engine loads is found whole before it is loaded, in every form that it may have."""

from pathlib import Path

from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.replicas.checkpoint_files import check_files
from acestep_ray.settings import Settings


def found(checkpoints: Path, model: str = "") -> list[str]:
    fields = {"decoder": "diffusers", "checkpoints": checkpoints, "dit": {"model": model}}
    return check_files(Settings.model_validate(fields))


def test_upstreams_layout(upstream: Path) -> None:
    assert found(upstream) == ["acestep-v15-turbo"]
    assert found(upstream, "acestep-v15-base") == ["acestep-v15-base"]


def test_diffusers_layout(turbo: Path, base: Path) -> None:
    assert found(turbo) == ["turbo"]
    assert found(base.parent) == ["base"]


def test_shards(tmp_path: Path) -> None:
    model = make_tiny_checkpoint(tmp_path, shard_bytes=100_000)
    assert found(model.parent) == [model.name]


def test_a_model_without_an_audio_tokenizer(tmp_path: Path) -> None:
    model = make_tiny_checkpoint(tmp_path / "plain", "diffusers", audio_tokenizer=False)
    assert found(model) == ["plain"]
