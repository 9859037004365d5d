"""What `acestep-ray serve` refuses before it starts anything."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from acestep_ray.cli import main
from acestep_ray.startup import launcher
from acestep_ray.startup.launcher import url_of
from acestep_ray.startup.ray_node import RayNode
from acestep_ray.startup.refusals import other_on_ipv6
from tests.redis_server import RedisServer
from tests.service import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return document


def write(tmp_path: Path, config: dict[str, Any]) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return str(file)


def test_a_used_port_is_reported_at_once(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        # As Serve's proxy does: two such sockets would share the port without an error.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", write(tmp_path, config), "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_a_port_for_metrics_that_is_used_is_refused(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ray's agent would end, and the whole node with it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config["applications"][0]["args"]["metrics_port"] = other.getsockname()[1]
        assert main(["serve", write(tmp_path, config), "--port", str(free_port())]) == 2
    assert "choose another with ACESTEP_METRICS_PORT" in capsys.readouterr().err


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_port_that_is_none_is_refused(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str], port: int
) -> None:
    assert main(["serve", write(tmp_path, config), "--port", str(port)]) == 2
    assert f"port {port} on 127.0.0.1 cannot be used (a port is" in capsys.readouterr().err


def test_a_port_that_localhost_leads_past_is_reported() -> None:
    """As if a container has the port on ::1, which most programs try first for localhost."""
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        why = other_on_ipv6("127.0.0.1", other.getsockname()[1])
    assert why is not None and "where 'localhost' may lead" in why
    assert other_on_ipv6("127.0.0.1", free_port()) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("0.0.0.0", "http://127.0.0.1:8001"),
        ("localhost", "http://localhost:8001"),
        ("::1", "http://[::1]:8001"),
        ("::", "http://[::1]:8001"),
    ],
)
def test_the_service_is_asked_where_it_listens(host: str, url: str) -> None:
    assert url_of(host, 8001) == url


def test_an_engine_whose_libraries_are_missing_is_reported_at_once(
    tmp_path: Path,
    config: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after `pip install` without the extra."""
    monkeypatch.setitem(sys.modules, "vllm", None)
    config["applications"][0]["args"] |= {"planner": "vllm", "checkpoints": str(tmp_path)}
    assert main(["serve", write(tmp_path, config)]) == 2
    assert "vllm is not installed, which the engine vllm needs" in capsys.readouterr().err


def test_a_public_address_without_a_key_is_refused(
    tmp_path: Path,
    config: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACESTEP_API_KEY", raising=False)
    assert main(["serve", write(tmp_path, config), "--host", "0.0.0.0"]) == 2
    assert "0.0.0.0" in capsys.readouterr().err
    config["http_options"]["host"] = "0.0.0.0"
    assert main(["serve", write(tmp_path, config)]) == 2
    assert "ACESTEP_API_KEY" in capsys.readouterr().err


def test_a_config_with_mistakes_is_refused(
    tmp_path: Path, config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    config["applications"][0]["args"]["planer"] = "mock"
    assert main(["serve", write(tmp_path, config)]) == 2
    assert "planer" in capfd.readouterr().err


def test_a_bucket_that_is_not_there_is_refused(
    tmp_path: Path, config: dict[str, Any], s3_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config["applications"][0]["args"]["artifacts"] = "s3://nowhere"
    assert main(["serve", write(tmp_path, config)]) == 2
    reported = capsys.readouterr().err
    assert "ACESTEP_ARTIFACTS=s3://nowhere" in reported and "create it" in reported


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "port "),
        (["serve_config.yaml"], "port "),
        (["serve_config.gpu.yaml"], "ACESTEP_CHECKPOINTS is not set"),
        (["nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["folder/serve_config.yaml"], "folder/serve_config.yaml cannot be read"),
    ],
)
def test_the_configs_come_with_the_package(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    sentence: str,
) -> None:
    """In a folder without configs; the first error there is then the port."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert main(["serve", *words, "--port", str(other.getsockname()[1])]) == 2
    assert f"acestep-ray: {sentence}" in capsys.readouterr().err


def test_a_config_in_the_current_folder_comes_first(
    tmp_path: Path,
    config: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config["applications"][0]["args"]["planer"] = "mock"
    (tmp_path / "serve_config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 2
    assert "serve_config.yaml: applications.0.args.planer" in capfd.readouterr().err


def test_a_config_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


def test_a_job_store_that_cannot_be_used_is_reported_at_once(
    tmp_path: Path,
    config: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = RedisServer(tmp_path, appendonly="no")
    monkeypatch.setenv("ACESTEP_STORE", server.url)
    assert main(["serve", write(tmp_path, config)]) == 2
    assert f"Redis at 127.0.0.1:{server.port}) cannot be reached" in capsys.readouterr().err
    server.start()
    assert main(["serve", write(tmp_path, config)]) == 2
    assert "set appendonly yes in its configuration" in capsys.readouterr().err
    server.kill()


@pytest.mark.parametrize(("setting", "option"), [(None, []), ("false", ["--no-dashboard"])])
def test_the_dashboard_is_left_out_only_on_request(
    tmp_path: Path,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    option: list[str],
) -> None:
    nodes: list[RayNode] = []

    def keep_serving(new_node: Callable[[], RayNode], *_: object) -> int:
        nodes.append(new_node())
        return 0

    monkeypatch.setattr(launcher, "keep_serving", keep_serving)
    monkeypatch.setenv("ACESTEP_DATA", str(tmp_path))
    monkeypatch.delenv("ACESTEP_DASHBOARD", raising=False)
    if setting:
        monkeypatch.setenv("ACESTEP_DASHBOARD", setting)
    assert main(["serve", write(tmp_path, config), "--port", str(free_port())]) == 0
    (node,) = nodes
    assert node._command == [sys.executable, "-m", "deployments.serve_run", *option]
