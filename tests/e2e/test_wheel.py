"""The built wheel, in an environment and a folder without any link to the clone."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

from tests.service import ROOT, free_port, until


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of these tests."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
    subprocess.run([*uv, "build", "--wheel", "--out-dir", folder, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    wheels = map(str, folder.glob("*.whl"))
    command = [*uv, "pip", "install", "--python", str(python), "--no-deps", *wheels]
    subprocess.run(command, check=True)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    # A folder named in a .pth file is added as it is: its own .pth, which names the clone, is not
    # read.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv"


def test_serve_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP", "RAY", "PYTHON"))}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [environment / "bin" / "acestep-ray", "serve"],
            cwd=folder,
            env=kept | {"ACESTEP_PORT": str(port)},
            stderr=log,
        )

    def reported() -> str:
        return (tmp_path / "log").read_text()

    def ready() -> bool:
        assert process.poll() is None, reported()
        return "ready" in reported()

    try:
        until(ready, f"it did not become ready: {tmp_path}/log", 300)
        [config, data] = re.findall(
            r"^acestep-ray: config (.*), data folder (.*)$", reported(), re.M
        )[0]
        assert Path(config).name == "serve_config.yaml"
        assert Path(config).is_relative_to(environment)
        assert Path(data) == folder / "data"
        with httpx.Client(base_url=url, timeout=60) as client:
            asked = {"caption": "pop", "audio_duration": 2, "audio_format": "wav"}
            job = client.post("/v1/music/generate", json=asked).json()
            while job["status"] not in ("succeeded", "failed"):
                job = client.get(f"/v1/jobs/{job['job_id']}", params={"wait": 20}).json()
            assert job["status"] == "succeeded", job
            assert client.get(job["result"]["first_audio_path"]).content.startswith(b"RIFF")
        assert list((folder / "data" / "artifacts").rglob("*.wav"))
    finally:
        process.send_signal(2)
        process.wait(60)


def test_real_models_are_reachable_by_the_configs_name(environment: Path, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP", "PYTHON"))}
    done = subprocess.run(
        [environment / "bin" / "acestep-ray", "serve", "serve_config.gpu.yaml"],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("acestep-ray: ACESTEP_CHECKPOINTS is not set; name the folder")
    assert not list(tmp_path.iterdir())
