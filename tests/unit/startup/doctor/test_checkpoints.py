"""The models' files: a download that did not end is found before an engine fails on it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.replicas.checkpoint_files import write_upstream
from tests.unit.startup.doctor.conftest import Doctor

TURBO = "acestep-v15-turbo"
LM = "acestep-5Hz-lm-0.6B"


@pytest.fixture
def models(doctor: Doctor) -> Path:
    folder = doctor.folder / "checkpoints"
    write_upstream(folder)
    doctor.args |= {"planner": "pt", "decoder": "diffusers", "checkpoints": str(folder)}
    return folder


def test_mocks_need_none(doctor: Doctor) -> None:
    assert doctor.well("checkpoints") == "the mock engines need none"


def test_whole_files_are_well(doctor: Doctor, models: Path) -> None:
    assert doctor.well("checkpoints") == f"{TURBO}, {LM} in {models}, all files whole"


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def cut_in_header(file: Path) -> None:
    os.truncate(file, 20)


def grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def make_pointer(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (f"{TURBO}/model.safetensors", cut, "its download did not end well, download it again"),
        (f"{LM}/model.safetensors", cut, "its download did not end well, download it again"),
        ("vae/diffusion_pytorch_model.safetensors", cut_in_header, "cannot be read"),
        (f"{LM}/model.safetensors", grow, "its download did not end well"),
        (f"{TURBO}/model.safetensors", make_pointer, "run `git lfs pull` in its folder"),
        (f"{TURBO}/model.safetensors", Path.unlink, "is missing: download that folder again"),
        (f"{TURBO}/silence_latent.pt", Path.unlink, "is missing: download that folder again"),
        (f"{TURBO}/silence_latent.pt", empty, "is empty: download it again"),
        (f"{LM}/tokenizer.json", empty, "is empty: download it again"),
        (f"{TURBO}/config.json", cut, "cannot be read"),
        ("Qwen3-Embedding-0.6B/config.json", Path.unlink, "is missing"),
    ],
)
def test_a_damaged_file_is_a_problem_that_names_it(
    doctor: Doctor, models: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(models / name)
    found = doctor.problem("checkpoints")
    assert str(models / name) in found and message in found


def test_a_shard_that_is_missing_is_named(doctor: Doctor, models: Path) -> None:
    file = models / LM / "model.safetensors"
    file.rename(file.with_name("model-1-of-2.safetensors"))
    shards = '{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}'
    file.with_name("model.safetensors.index.json").write_text(shards)
    assert "model-2-of-2.safetensors is missing" in doctor.problem("checkpoints")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"dit": {"model": "acestep-v15-base"}}, "holds no model named acestep-v15-base, only"),
        (
            {"lm": {"model": "acestep-5Hz-lm-4B"}},
            "has no acestep-5Hz-lm-4B; there are: acestep-5Hz",
        ),
        ({"checkpoints": "/nowhere"}, "ACESTEP_CHECKPOINTS=/nowhere is not a folder"),
        ({"checkpoints": None}, "ACESTEP_CHECKPOINTS is not set"),
    ],
)
def test_a_name_that_is_not_there_is_a_problem(
    doctor: Doctor, models: Path, args: dict[str, object], message: str
) -> None:
    doctor.args |= args
    assert message in doctor.problem("checkpoints")


def test_every_language_model_of_several_planners_is_checked(doctor: Doctor, models: Path) -> None:
    write_upstream(models, "acestep-5Hz-lm-4B")
    pairs = [{"model": LM, "backend": "pt"}, {"model": "acestep-5Hz-lm-4B", "backend": "vllm"}]
    doctor.args["planners"] = pairs
    cut(models / "acestep-5Hz-lm-4B" / "model.safetensors")
    assert "acestep-5Hz-lm-4B/model.safetensors has" in doctor.problem("checkpoints")


def test_a_model_folder_itself_is_no_folder_of_models(doctor: Doctor, models: Path) -> None:
    doctor.args["checkpoints"] = str(models / TURBO)
    assert f"set ACESTEP_CHECKPOINTS to {models}" in doctor.problem("checkpoints")


def test_a_download_in_progress_is_a_warning(doctor: Doctor, models: Path) -> None:
    file = models / TURBO / ".cache" / "huggingface" / "download" / "x.incomplete"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert "a download that has not ended" in doctor.warning("checkpoints")
