"""The built wheels, in environments and folders without any link to the clone."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

from acestep_ray import __version__
from tests.one_process import one_process
from tests.service import ROOT, free_port, until

UV = [str(Path(sys.executable).with_name("uv")), "--quiet"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of these tests."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*UV, "build", "--wheel", "--out-dir", folder, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    wheels = map(str, folder.glob("*.whl"))
    command = [*UV, "pip", "install", "--python", str(python), "--no-deps", *wheels]
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
            page = client.get("/")
            assert page.status_code == 200 and "<title>Studio</title>" in page.text
            for file in re.findall(r'href="(studio/[^"]+)"', page.text):
                assert client.get(f"/{file}").status_code == 200, f"{file} is not in the wheel"
            asked = {"caption": "pop", "audio_duration": 2, "audio_format": "wav"}
            job = client.post("/v1/music/generate", json=asked).json()
            while job["status"] not in ("succeeded", "failed"):
                job = client.get(f"/v1/jobs/{job['job_id']}", params={"wait": 20}).json()
            assert job["status"] == "succeeded", job
            assert client.get(job["result"]["first_audio_path"]).content.startswith(b"RIFF")
            for path in ("/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
                assert client.get(path).status_code == 200, path
        words = ["generate", "pop", "--duration", "2", "--takes", "1", "-o", "songs", "--json"]
        done = subprocess.run(
            [environment / "bin" / "acestep-ray", *words, "--url", url],
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        [made] = json.loads(done.stdout)["files"]
        assert (tmp_path / made).stat().st_size > 10_000
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


def test_the_client_alone_makes_a_song_without_ray(tmp_path: Path) -> None:
    """In an environment with what its wheel asks for, and nothing else."""
    subprocess.run([*UV, "build", "--wheel", "--out-dir", tmp_path, ROOT / "client"], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    [wheel] = tmp_path.glob("acestep_ray_client-*.whl")
    subprocess.run([*UV, "pip", "install", "--python", python, wheel], check=True)
    program = """
import importlib.util
from acestep_ray import __version__
from acestep_ray.client import Client
assert not any(map(importlib.util.find_spec, ("ray", "torch", "numpy", "fastapi")))
with Client() as client:
    job = client.generate(caption="pop", audio_duration=2, batch_size=1, audio_format="wav")
    print(__version__, *job.wait().download("songs"))
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP", "PYTHON"))}
    with one_process(data=tmp_path / "data") as service:
        done = subprocess.run(
            [python, "-c", program],
            cwd=tmp_path,
            env=kept | {"ACESTEP_URL": service.url},
            check=True,
            capture_output=True,
            text=True,
        )
    version, song = done.stdout.split()
    assert version == __version__
    assert (tmp_path / song).read_bytes().startswith(b"RIFF")


def test_the_service_brings_the_client(environment: Path, tmp_path: Path) -> None:
    subprocess.run(
        [environment / "bin" / "python", "-c", "from acestep_ray.client import AsyncClient"],
        cwd=tmp_path,
        check=True,
    )
