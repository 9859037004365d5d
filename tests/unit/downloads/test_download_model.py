"""``acestep-ray download-model`` with a hub on loopback: what comes, goes on, and is refused."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acestep_ray.downloads.catalogue import Part, UnknownModel, parts_of
from tests.hub import Hub, hub
from tests.service import until
from tests.unit.cli.terminal import Terminal

CLI = Path(sys.executable).with_name("acestep-ray")
BUNDLE = "ACE-Step/Ace-Step1.5"
BASE = "ACE-Step/acestep-v15-base"
SMALL_LM = "ACE-Step/acestep-5Hz-lm-0.6B"


def weights(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def models() -> Iterator[Hub]:
    with hub() as it:
        it.repositories[BUNDLE] = {
            "README.md": b"# ACE-Step",
            "acestep-v15-turbo/config.json": b"{}",
            "acestep-v15-turbo/model.safetensors": weights(300_000, 1),
            "acestep-v15-turbo/modeling.py": b"print('no code of the hub is wanted')",
            "acestep-5Hz-lm-1.7B/config.json": b'{"large": true}',
            "vae/config.json": b'{"vae": true}',
            "vae/diffusion_pytorch_model.safetensors": weights(100_000, 2),
            "Qwen3-Embedding-0.6B/config.json": b'{"text": true}',
        }
        it.repositories[BASE] = {
            "config.json": b'{"base": true}',
            "model.safetensors": weights(200_000, 3),
        }
        it.repositories[SMALL_LM] = {"config.json": b'{"lm": true}'}
        yield it


def run(models: Hub, folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    own = {name: value for name, value in os.environ.items() if "ACESTEP" not in name}
    own |= {"HF_ENDPOINT": models.url, "HF_HOME": str(folder.parent / "home"), "PATH": "/nowhere"}
    own |= {"ACESTEP_CHECKPOINTS": str(folder), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [CLI, "download-model", *arguments],
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def files(folder: Path) -> set[str]:
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and ".cache" not in file.parts
    }


def test_what_the_settings_choose_comes_whole_and_without_code(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    status, out, err = run(models, folder)
    assert status == 0, err
    assert files(folder) == {
        "acestep-v15-turbo/config.json",
        "acestep-v15-turbo/model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "Qwen3-Embedding-0.6B/config.json",
        "acestep-5Hz-lm-0.6B/config.json",
    }
    expected = models.repositories[BUNDLE]["acestep-v15-turbo/model.safetensors"]
    assert (folder / "acestep-v15-turbo/model.safetensors").read_bytes() == expected
    assert "licence: mit" in out
    assert "acestep-v15-turbo needs 8.5 GB of a GPU; no GPU was found here" in out
    assert f"ACESTEP_CHECKPOINTS={folder} make serve-real" in err
    models.served.clear()
    assert run(models, folder)[0] == 0
    assert models.served == []


def test_a_dry_run_shows_sizes_and_writes_nothing(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    status, out, err = run(models, folder, "acestep-v15-base", "--dry-run")
    assert status == 0, err
    assert f"{BASE} (licence: mit) into {folder}/acestep-v15-base: 2 files, 0.2 MB, 0.2 MB" in out
    assert f"{BUNDLE} (licence: mit) into {folder}: 3 files, 0.1 MB" in out
    assert not folder.exists() or files(folder) == set()
    assert models.served == []


def test_what_was_cut_off_goes_on_where_it_stopped(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    models.repositories[BASE]["model.safetensors"] = weights(26_000_000, 4)
    models.cut["model.safetensors"] = 15_000_000  # the library writes 10 MB at a time
    run(models, folder, "acestep-v15-base")
    run(models, folder, "acestep-v15-base")
    assert (folder / "acestep-v15-base/model.safetensors").read_bytes() == (
        models.repositories[BASE]["model.safetensors"]
    )
    asked = [first for path, first in models.served if path == "model.safetensors"]
    assert asked[0] == 0
    assert asked[-1] > 0


def test_a_file_with_another_checksum_is_deleted_and_named(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    models.wrong.add("model.safetensors")
    status, _, err = run(models, folder, "acestep-v15-base")
    assert status == 1
    assert "model.safetensors of ACE-Step/acestep-v15-base came with other contents" in err
    assert "acestep-v15-base/model.safetensors" not in files(folder)
    models.wrong.clear()
    # Code that others keep there is not what was downloaded, and stays.
    models.repositories[BASE]["modeling.py"] = b"pass"
    (folder / "acestep-v15-base/modeling.py").write_text("something else")
    assert run(models, folder, "acestep-v15-base")[0] == 0
    assert {"acestep-v15-base/model.safetensors", "acestep-v15-base/modeling.py"} <= files(folder)


def test_wrong_settings_are_one_line(models: Hub, tmp_path: Path) -> None:
    status, _, err = run(models, tmp_path / "checkpoints", ACESTEP_PRESET="7gb")
    assert status == 2
    assert "preset" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (
            ["acestep-v15-tubro"],
            2,
            "There is no model acestep-v15-tubro. Published are: acestep-v15",
        ),
        (["a/b/c"], 2, "a/b/c is not OWNER/NAME"),
        (
            ["somebody/nothing"],
            1,
            "has no repository somebody/nothing, or it is private (HF_TOKEN)",
        ),
    ],
)
def test_what_does_not_exist(
    models: Hub, tmp_path: Path, arguments: list[str], status: int, sentence: str
) -> None:
    ended, _, err = run(models, tmp_path / "checkpoints", *arguments)
    assert ended == status
    assert sentence in err
    assert "Traceback" not in err


def test_a_hub_that_is_away_out_of_order_or_closed(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    cases = [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set: unset it."),
    ]
    for environment, sentence in cases:
        status, _, err = run(models, folder, "acestep-v15-base", **environment)
        assert status == 1
        assert sentence in err
        assert "Traceback" not in err
    models.gated.add(BASE)
    status, _, err = run(models, folder, "acestep-v15-base")
    assert status == 1
    assert f"{BASE} wants its licence accepted" in err


def test_the_name_of_a_model_instead_of_a_job(models: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    own = {**os.environ, "HF_ENDPOINT": models.url, "ACESTEP_CHECKPOINTS": str(folder)}
    command = [str(CLI), "download", "acestep-5Hz-lm-0.6B"]
    subprocess.run(command, env=own | {"HF_HOME": str(tmp_path)}, check=True, timeout=120)
    assert files(folder) == {"acestep-5Hz-lm-0.6B/config.json"}


def test_each_part_once() -> None:
    both = parts_of(["acestep-v15-turbo", "acestep-v15-xl-base", "acestep-5Hz-lm-1.7B"])
    assert both == [
        Part(
            BUNDLE,
            "",
            ("acestep-v15-turbo/*", "vae/*", "Qwen3-Embedding-0.6B/*", "acestep-5Hz-lm-1.7B/*"),
        ),
        Part("ACE-Step/acestep-v15-xl-base", "acestep-v15-xl-base"),
    ]
    assert parts_of(["Runware/acestep-v15-turbo-diffusers"]) == [
        Part("Runware/acestep-v15-turbo-diffusers", "acestep-v15-turbo-diffusers")
    ]
    with pytest.raises(UnknownModel, match="acestep-v15-xl-turbo"):
        parts_of(["acestep-v15-nothing"])


def terminal(models: Hub, folder: Path, *words: str) -> Terminal:
    """The command before a person; ``folder`` is where it runs."""
    own = {name: value for name, value in os.environ.items() if "ACESTEP" not in name}
    own |= {"HF_ENDPOINT": models.url, "HF_HOME": str(folder / "home")}
    return Terminal(*words, folder=folder, env=own)


def test_a_start_with_real_engines_and_no_models_offers_them(models: Hub, tmp_path: Path) -> None:
    with terminal(models, tmp_path, "serve", "serve_config.gpu.yaml") as shown:
        shown.until("there are no models in")
        shown.until("Download? [Y/n]")
        shown.type("n\n")
        shown.until("ACESTEP_CHECKPOINTS is not set")
        assert shown.status() == 2
    assert files(tmp_path) == set()
    with terminal(models, tmp_path, "serve", "serve_config.gpu.yaml") as shown:
        shown.until("Download? [Y/n]")
        shown.type("\n")
        # What it then starts with are the downloaded files, which are no real models here.
        shown.until("silence_latent.pt is missing")
        assert shown.status() == 2
    assert "checkpoints/acestep-v15-turbo/model.safetensors" in files(tmp_path)


def test_a_start_with_mock_engines_offers_nothing(models: Hub, tmp_path: Path) -> None:
    taken = models.url.rpartition(":")[2]
    with terminal(models, tmp_path, "serve", "--port", taken) as shown:
        shown.until(f"port {taken} on 127.0.0.1 cannot be used")
        assert shown.status() == 2
        assert "models" not in shown.text


def test_ctrl_c_stops_and_says_how_to_go_on(models: Hub, tmp_path: Path) -> None:
    models.repositories[BASE]["model.safetensors"] = weights(4_000_000, 4)
    models.slow.add("model.safetensors")
    with terminal(models, tmp_path, "download-model", "acestep-v15-base", "--yes") as shown:
        shown.until("ACE-Step/acestep-v15-base …")
        until(lambda: models.served, "nothing was asked for")
        shown.type("\x03")
        shown.until("the same command goes on where it stopped")
        assert shown.status() == 130
