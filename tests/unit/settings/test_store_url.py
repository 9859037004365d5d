"""Where jobs are kept: what is refused before anything starts, and that no password is shown."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from acestep_ray.jobs.store.factory import sqlite_file
from acestep_ray.settings import Settings
from acestep_ray.settings.store_url import on_one_node
from deployments.check_config import mistakes

WORD = "open-sesame"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORE", "STORE_PASSWORD"):
        monkeypatch.delenv(f"ACESTEP_{name}", raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///jobs.sqlite",
        "sqlite:////srv/jobs.sqlite",
        "redis://localhost",
        "redis://127.0.0.1:6379/0",
        "redis://[::1]:6379/1?volatile=allow",
        f"redis://:{WORD}@redis:6379/1",
        f"rediss://user:{WORD}@redis:6379?ssl_ca_certs=/etc/ca.pem&volatile=allow",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_stores_there_are(url: str) -> None:
    assert Settings(store=SecretStr(url)).store_url == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgres://h/d", "the job store is sqlite:///FILE, redis://HOST"),
        ("sqlite://jobs.sqlite", "the job store is sqlite"),
        ("redis://", "the job store is"),
        ("redis://host/jobs", "the job store is"),
        ("redis://host:6379/0#x", "the job store is"),
        ("unix://run/redis.sock", "the job store is"),
        ("redis://host?volatile=yes", "no option 'volatile'; there are volatile=allow, db="),
        (f"unix:///run/redis.sock?password={WORD}", "no option 'password'; there are"),
    ],
)
def test_stores_there_are_none_like(
    url: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match=sentence) as refused:
        Settings(store=SecretStr(url))
    assert WORD not in str(refused.value)
    monkeypatch.setenv("ACESTEP_STORE", url)
    config = {"applications": [{"import_path": "deployments.app:build", "args": {}}]}
    (mistake,) = mistakes(config)
    assert sentence in mistake
    assert WORD not in mistake


def test_a_password_is_given_in_one_place() -> None:
    word = SecretStr(WORD)
    Settings(store=SecretStr("redis://user@host"), store_password=word)
    with pytest.raises(ValidationError, match="ACESTEP_STORE holds a password, too"):
        Settings(store=SecretStr(f"redis://:{WORD}@host"), store_password=word)


def test_no_password_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_STORE", f"redis://:{WORD}@host")
    assert WORD not in f"{Settings()!r} {Settings()} {Settings().model_dump_json()}"
    monkeypatch.setenv("ACESTEP_STORE", "redis://host")
    monkeypatch.setenv("ACESTEP_STORE_PASSWORD", WORD)
    assert WORD not in f"{Settings()!r} {Settings()} {Settings().model_dump_json()}"


def test_a_sqlite_url_names_its_file(tmp_path: Path) -> None:
    assert sqlite_file("sqlite:///a%20b/jobs.sqlite") == Path("a b/jobs.sqlite")
    assert sqlite_file("sqlite:////srv/jobs.sqlite") == Path("/srv/jobs.sqlite")
    settings = Settings(data=tmp_path)
    assert sqlite_file(settings.store_url) == tmp_path / "jobs.sqlite"


@pytest.mark.parametrize(
    ("url", "one"),
    [("sqlite:////srv/jobs.sqlite", True), ("redis://sqlite/0", False), ("unix:///sqlite:", False)],
)
def test_only_a_file_of_sqlite_is_for_one_node(url: str, one: bool) -> None:
    assert on_one_node(url) is one
