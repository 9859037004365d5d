"""Settings of traces and log lines: what is refused, and that secrets stay secret."""

import pytest
from pydantic import ValidationError

from acestep_ray.settings import Settings


@pytest.mark.parametrize(
    "endpoint", ["http://collector:4318", "https://otlp.example.org/otlp", "http://127.0.0.1:4318/"]
)
def test_an_endpoint_is_a_url(endpoint: str) -> None:
    settings = Settings.model_validate({"tracing": {"endpoint": endpoint}})
    assert settings.tracing.endpoint == endpoint.rstrip("/")


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "grpc://collector:4317", "http://me:secret@collector", "http://"]
)
def test_anything_else_is_refused_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="the endpoint is http") as caught:
        Settings.model_validate({"tracing": {"endpoint": endpoint}})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("headers", ["a=b", "a=b,c=d e", "Authorization=Bearer abc==, x-y=1"])
def test_headers_are_names_and_values(headers: str) -> None:
    settings = Settings.model_validate({"tracing": {"headers": headers}})
    assert settings.tracing.headers.get_secret_value() == headers
    assert headers not in repr(settings)


@pytest.mark.parametrize("headers", ["secret", "=secret", "a b=secret", "a=,b=c", "a=b,secret"])
def test_other_headers_are_refused_without_repeating_them(headers: str) -> None:
    with pytest.raises(ValidationError, match="NAME=VALUE") as caught:
        Settings.model_validate({"tracing": {"headers": headers}})
    assert "secret" not in str(caught.value)


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_LOGS__FORMAT", "json")
    monkeypatch.setenv("ACESTEP_TRACING__RATIO", "0.25")
    settings = Settings()
    assert (settings.logs.format, settings.logs.level) == ("json", "info")
    assert settings.tracing.ratio == 0.25 and settings.tracing.endpoint == ""
