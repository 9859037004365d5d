"""The config and the settings: a mistake has an effect that nobody sees, or none at all."""

from pathlib import Path

import pytest

from acestep_ray import configs
from acestep_ray.startup.doctor.config_check import unknown_variables, winners
from acestep_ray.startup.doctor.consistency import inconsistencies
from acestep_ray.startup.doctor.result import Level
from acestep_ray.startup.doctor.setup import read_setup
from acestep_ray.startup.serve_config import configured, read_document
from tests.unit.startup.doctor.conftest import Doctor


def test_mistakes_in_the_file_and_in_the_environment_are_problems(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.args["planer"] = "mock"
    monkeypatch.setenv("ACESTEP_LIMITS__QEUE", "3")
    messages = [found.message for found in doctor.check("settings")]
    assert any("planer" in message and "known here are" in message for message in messages)
    assert any("ACESTEP_LIMITS__QEUE: unknown setting" in message for message in messages)
    # What else is wrong cannot be known.
    (other,) = doctor.check("job store")
    assert other.level is Level.NOT_CHECKED


def test_a_file_that_is_no_yaml_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> Path:
        doctor.file.write_text("applications: [")
        return doctor.file

    monkeypatch.setattr(doctor, "write", write)
    assert "config.yaml cannot be read" in doctor.problem("settings")


def test_a_file_without_an_application_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> Path:
        doctor.file.write_text("applications: []")
        return doctor.file

    monkeypatch.setattr(doctor, "write", write)
    assert "names no application" in doctor.problem("settings")


def test_a_misspelt_variable_is_reported_with_the_one_that_was_meant() -> None:
    """pydantic ignores it without a message."""
    found = unknown_variables(
        {
            "ACESTEP_PLANER": "mock",
            "ACESTEP_LIMITS_QUEUE": "5",
            "ACESTEP_SOMETHING_ELSE_ENTIRELY": "1",
            "ACESTEP_PORT": "1",
            "ACESTEP_URL": "http://host",  # of the clients
            "acestep_port": "1",
            "ACESTEP_LIMITS__NOTHING": "refused by pydantic",
            "PATH": "/bin",
        }
    )
    assert found == {
        "ACESTEP_PLANER": "ACESTEP_PLANNER",
        "ACESTEP_LIMITS_QUEUE": "ACESTEP_LIMITS__QUEUE",
        "ACESTEP_SOMETHING_ELSE_ENTIRELY": "",
    }


def test_an_empty_key_is_reported_because_it_counts_as_none(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_API_KEY", "")
    assert "ACESTEP_API_KEY is empty" in doctor.warning("settings")


def test_what_the_environment_changes_is_named_but_no_secret_is_shown() -> None:
    environment = {
        "ACESTEP_PLANNER": "vllm",
        "ACESTEP_DECODER": "mock",
        "ACESTEP_LIMITS__QUEUE": "7",
        "ACESTEP_API_KEY": "the key",
        "ACESTEP_DASHBOARD": "TRUE",
        "ACESTEP_DATA": "/srv",
    }
    args = {
        "planner": "pt",
        "decoder": "mock",
        "limits": {"queue": 5},
        "api_key": "another",
        "dashboard": True,
    }
    assert winners(environment, args) == [
        "ACESTEP_API_KEY",
        "ACESTEP_LIMITS__QUEUE=7 over 5",
        "ACESTEP_PLANNER=vllm over pt",
    ]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (
            {"jobs": {"timeout": 7200}},
            {"graceful_shutdown_timeout_s": 3660},
            "gives Decoder 3660 s",
        ),
        ({"restarts": {"limit": 3}}, {}, "set ACESTEP_RESTARTS__LIMIT above"),
        ({"limits": {"duration": 30}}, {}, "takes are 60 s long if a request gives no length"),
    ],
)
def test_settings_that_are_wrong_together_are_a_warning(
    doctor: Doctor, args: dict[str, object], options: dict[str, object], message: str
) -> None:
    doctor.args |= args
    doctor.deployments = [{"name": "Decoder", **options}]
    config = read_setup(doctor.write()).checked
    (found,) = inconsistencies(config)
    assert found.level is Level.WARNING and message in found.message


def test_the_shipped_configs_are_consistent(doctor: Doctor) -> None:
    assert doctor.folder.is_dir()  # its fixture has emptied the environment
    for file in sorted(configs.FOLDER.glob("*.yaml")):
        assert list(inconsistencies(configured(file, read_document(file)))) == []
