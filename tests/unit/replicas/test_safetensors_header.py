"""Numbers in checkpoints, counted from the files' headers."""

from pathlib import Path

import pytest

from acestep_ray.errors import CheckpointError
from acestep_ray.replicas.safetensors_header import parameters_in, read_config
from tests.unit.replicas.checkpoint_files import write_safetensors


def test_shards_and_folders_below_are_counted_once(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a" / "model-1.safetensors", (10, 20), (3,))
    write_safetensors(tmp_path / "a" / "sub" / "model-2.safetensors", (7,), ())
    write_safetensors(tmp_path / "b" / "model.safetensors", (1000,))
    assert parameters_in(tmp_path / "a") == 211
    assert parameters_in(tmp_path / "a", tmp_path / "a" / "sub", tmp_path / "b") == 1211


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        parameters_in(tmp_path)
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no JSON object"):
        read_config(tmp_path)
