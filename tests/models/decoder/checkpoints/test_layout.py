"""ACESTEP_CHECKPOINTS names a folder; which model is meant, or what is wrong?"""

import json
from pathlib import Path

import pytest

from acestep_ray.decoder.checkpoints.layout import find, read_json
from acestep_ray.errors import CheckpointError


def folder_with(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def diffusers_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AceStepPipeline"}))
    return folder


def test_upstream_checkpoints_folder(tmp_path: Path) -> None:
    folder_with(tmp_path, "acestep-v15-sft", "vae", "Qwen3-Embedding-0.6B", "acestep-5Hz-lm-1.7B")
    layout = find(tmp_path)
    assert (layout.kind, layout.name) == ("upstream", "acestep-v15-sft")
    assert (layout.model, layout.root) == (tmp_path / "acestep-v15-sft", tmp_path)


def test_diffusers_folder_itself(tmp_path: Path) -> None:
    layout = find(diffusers_folder(tmp_path / "my-turbo"))
    assert (layout.kind, layout.name) == ("diffusers", "my-turbo")
    assert layout.model == tmp_path / "my-turbo"


def test_folder_holding_one_diffusers_folder(tmp_path: Path) -> None:
    diffusers_folder(tmp_path / "my-turbo")
    folder_with(tmp_path, "acestep-5Hz-lm-0.6B", ".cache")
    assert find(tmp_path).model == tmp_path / "my-turbo"


def test_a_diffusers_folder_may_bear_an_upstream_name(tmp_path: Path) -> None:
    diffusers_folder(tmp_path / "acestep-v15-xl-turbo-diffusers")
    assert find(tmp_path).kind == "diffusers"


def test_several_models_take_a_name_and_turbo_is_the_default(tmp_path: Path) -> None:
    folder_with(tmp_path, "acestep-v15-base", "acestep-v15-turbo", "acestep-v15-xl-sft")
    assert find(tmp_path).name == "acestep-v15-turbo"
    assert find(tmp_path, "acestep-v15-base").name == "acestep-v15-base"


def test_half_written_folders_are_no_models(tmp_path: Path) -> None:
    folder_with(tmp_path, "acestep-v15-base", ".acestep-v15-turbo.k3j2")
    assert find(tmp_path).name == "acestep-v15-base"


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_with(tmp_path, "c/acestep-v15-base")
    monkeypatch.chdir(tmp_path)
    assert find(Path("c")).root == tmp_path / "c"


def refusal(folder: Path, model: str = "") -> str:
    with pytest.raises(CheckpointError) as caught:
        find(folder, model)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_no_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == (
        f"{tmp_path / 'none'} is not a folder: "
        "set ACESTEP_CHECKPOINTS to the folder of the checkpoints."
    )


def test_folder_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


def test_nothing_in_it(tmp_path: Path) -> None:
    assert "download ACE-Step/Ace-Step1.5 into it" in refusal(tmp_path)


def test_one_level_too_deep(tmp_path: Path) -> None:
    inner = folder_with(tmp_path, "acestep-v15-turbo") / "acestep-v15-turbo"
    assert refusal(inner).endswith(f"set ACESTEP_CHECKPOINTS to {tmp_path}.")


def test_unknown_name_lists_what_is_there(tmp_path: Path) -> None:
    folder_with(tmp_path, "acestep-v15-base", "acestep-v15-turbo")
    sentence = refusal(tmp_path, "acestep-v15-sft")
    assert "no model named acestep-v15-sft" in sentence
    assert "acestep-v15-base, acestep-v15-turbo" in sentence


def test_several_without_the_default_need_a_name(tmp_path: Path) -> None:
    folder_with(tmp_path, "acestep-v15-base", "acestep-v15-sft")
    assert "several models (acestep-v15-base, acestep-v15-sft)" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b""])
def test_unreadable_json_names_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json .*: download it again\."):
        read_json(file)
