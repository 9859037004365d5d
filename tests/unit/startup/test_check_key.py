"""A service that strangers can reach must have a key."""

import pytest
from pydantic import SecretStr

from acestep_ray.settings import Settings
from acestep_ray.startup.checks import public_without_key


@pytest.fixture
def open_settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("ACESTEP_API_KEY", raising=False)
    monkeypatch.delenv("ACESTEP_ALLOW_PUBLIC", raising=False)
    return Settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "acestep.example.com", ""])
def test_a_public_address_without_a_key_is_refused(host: str, open_settings: Settings) -> None:
    why = public_without_key(host, open_settings)
    assert why is not None
    assert "ACESTEP_API_KEY" in why


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_key(host: str, open_settings: Settings) -> None:
    assert public_without_key(host, open_settings) is None


def test_a_key_or_permission_allows_a_public_bind() -> None:
    assert public_without_key("0.0.0.0", Settings(api_key=SecretStr("k"))) is None
    assert public_without_key("0.0.0.0", Settings(allow_public=True)) is None
