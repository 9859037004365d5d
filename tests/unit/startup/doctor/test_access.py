"""Who can reach the service, and with which key."""

import pytest

from tests.unit.startup.doctor.conftest import Doctor


def test_loopback_is_well_without_a_key(doctor: Doctor) -> None:
    assert doctor.well("access").endswith("with no API key; only this machine can reach it")


def test_a_public_service_without_a_key_is_a_problem(doctor: Doctor) -> None:
    doctor.http["host"] = "0.0.0.0"
    assert "set ACESTEP_API_KEY" in doctor.problem("access")


def test_a_public_service_that_is_allowed_is_a_warning(doctor: Doctor) -> None:
    doctor.http["host"] = "0.0.0.0"
    doctor.args["allow_public"] = True
    assert "everybody who reaches 0.0.0.0" in doctor.warning("access")


def test_a_key_that_can_be_guessed_is_a_warning_and_not_shown(doctor: Doctor) -> None:
    doctor.http["host"] = "0.0.0.0"
    doctor.args["api_key"] = "sesame"
    message = doctor.warning("access")
    assert "can be guessed" in message and "sesame" not in message
    doctor.args["api_key"] = "0123456789abcdef"
    assert "with an API key; other machines can reach it" in doctor.well("access")


def test_haproxy_is_public_whatever_the_config_says(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    assert "lets other machines reach the service" in doctor.warning("access")


def test_every_page_without_a_key_is_a_warning(doctor: Doctor) -> None:
    doctor.args["cors_origins"] = ["*"]
    assert "every web page that you open" in doctor.warning("access")


def test_a_key_with_a_line_end_is_a_warning(doctor: Doctor) -> None:
    """As `echo KEY | kubectl create secret --from-file` stores it: every request gets a 401."""
    doctor.args["api_key"] = "0123456789abcdef\n"
    assert "which no client can send" in doctor.warning("access")


@pytest.mark.parametrize(
    ("url", "good"),
    [("https://music.example.org/acestep", True), ("music.example.org", False), ("/x", False)],
)
def test_an_address_for_clients_that_is_none_is_a_warning(
    doctor: Doctor, url: str, good: bool
) -> None:
    doctor.args["public_url"] = url
    if good:
        assert doctor.well("access")
    else:
        assert f"ACESTEP_PUBLIC_URL={url} is no address" in doctor.warning("access")
