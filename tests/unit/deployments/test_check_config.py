"""A misspelt key must be refused: Serve would ignore it and silently not set the option."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.check_config import main, mistakes

ROOT = Path(__file__).parents[3]
CONFIGS = sorted(ROOT.glob("serve_config*.yaml"))


@pytest.fixture
def config() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return copy.deepcopy(document)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_shipped_configs_are_right(path: Path) -> None:
    assert main([str(path)]) == 0


def test_misspelt_keys_are_found_at_every_level(config: dict[str, Any]) -> None:
    app = config["applications"][0]
    decoder: dict[str, Any] = {"name": "Decoder"}
    app["deployments"].append(decoder)
    config["http_option"] = {}
    config["http_options"]["prot"] = 1
    app["arg"] = {}
    decoder["max_ongoing_request"] = 1
    decoder["autoscaling_config"] = {"min_replica": 1}
    decoder["ray_actor_options"] = {"num_gpu": 1}
    found = "\n".join(mistakes(config))
    for key in ("http_option:", "prot", "arg", "max_ongoing_request", "min_replica", "num_gpu"):
        assert key in found, found


def test_unknown_and_illegal_settings_are_found(config: dict[str, Any]) -> None:
    config["applications"][0]["args"] = {"planer": "mock", "limits": {"queue": 0}}
    found = "\n".join(mistakes(config))
    assert "planer" in found
    assert "limits.queue" in found


def test_a_deployment_that_does_not_exist_is_found(config: dict[str, Any]) -> None:
    config["applications"][0]["deployments"][0]["name"] = "Ingres"
    assert any("Ingres" in mistake and "Ingress" in mistake for mistake in mistakes(config))


def test_values_of_the_wrong_type_are_found(config: dict[str, Any]) -> None:
    config["http_options"]["port"] = "eight"
    assert any("port" in mistake for mistake in mistakes(config))


def test_the_command_names_the_file_and_fails(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["nonsense"] = 1
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(config))
    assert main([str(file)]) == 1
    assert "nonsense" in capsys.readouterr().err


def test_an_engine_scaled_without_our_policy_is_found(config: dict[str, Any]) -> None:
    """Serve's own counts the requests that it has seen, but waiting jobs are in the store."""
    scaled = {"name": "Decoder", "autoscaling_config": {"max_replicas": 2}}
    config["applications"][0]["deployments"].append(scaled)
    (mistake,) = mistakes(config)
    assert "Decoder" in mistake
    assert "deployments.autoscaling:FollowDemand" in mistake


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SCALING__DECODER__NUM_GPU", "1", "unknown setting; known here are max_replicas"),
        ("SCALING__DECODER__MIN_REPLICAS", "3", "must not be above max_replicas"),
        ("SCALING__IDLE_SECONDS", "inf", "it must be a finite number of at least 0."),
        ("PLANNERS", "nope", "it must be JSON"),
        ("PLANNERS", '{"backend": "mock"}', "it must be a list"),
        ("PLANNERS", '[{"backend": "pt", "gpus": 1}]', "unknown setting; known here are backend"),
        ("PLANNERS", '[{"backend": "mcok"}]', "(0.backend): it must be 'mock'"),
        ("STORE", "redis://localhost:notaport/1", "port must be a number"),
        ("PORT", "abc", "it must be a whole number from 1 to 65535."),
        ("PORT", "0", "it must be from 1 to 65535."),
        ("PLANNER", "magic", "it must be 'mock', 'pt' or 'vllm'."),
        ("DASHBOARD", "perhaps", "it must be true or false."),
        ("LIMITS", "5", "it must be an object."),
    ],
)
def test_a_variable_is_blamed_for_what_came_from_it(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    """The file contains none of it, so a reader of the file would not find it."""
    monkeypatch.setenv(f"ACESTEP_{variable}", value)
    (mistake,) = mistakes(config)
    assert mistake.startswith(f"environment variable ACESTEP_{variable}")
    assert message in mistake and "Input should" not in mistake


def test_a_rule_for_several_settings_says_where_they_may_be_set(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_SCALING__GPU_TURNS", "true")
    monkeypatch.setenv("ACESTEP_DIT__COMPILE", "true")
    (mistake,) = mistakes(config)
    assert "args and ACESTEP_ variables together: dit.compile cannot" in mistake
    assert "set dit.compile to false" in mistake
