"""Where audio is kept and how it is fetched: which settings are refused before anything starts."""

from typing import Any

import pytest
from pydantic import ValidationError

from acestep_ray.settings import Settings
from deployments.check_config import mistakes


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARTIFACTS", "DOWNLOADS", "DOWNLOAD_SECONDS"):
        monkeypatch.delenv(f"ACESTEP_{name}", raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "file:///srv/audio",
        "s3://songs",
        "s3://songs/",
        "s3://songs/a/b",
        "gs://songs/a",
        "az://c/a",
    ],
)
def test_storage_there_is(url: str) -> None:
    assert Settings(artifacts=url).artifacts_url == url


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3:///a", "s3a://songs", "file://srv/audio", "/srv/audio", "https://h/songs",
        "s3://key:secret@songs/a", "az://songs?sig=secret", "gs://songs#a",
    ],
)  # fmt: skip
def test_storage_there_is_none_like(url: str) -> None:
    with pytest.raises(ValidationError, match="artifact storage is file:///FOLDER") as caught:
        Settings(artifacts=url)
    assert "secret" not in str(caught.value)


def test_a_folder_cannot_redirect() -> None:
    for more in ({}, {"artifacts": "file:///srv/audio"}):
        fields: dict[str, Any] = {"downloads": "redirect", **more}
        with pytest.raises(ValidationError, match="set ACESTEP_ARTIFACTS to an s3://"):
            Settings(**fields)
    assert Settings(downloads="redirect", artifacts="s3://songs").download_seconds == 300


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_a_signed_url_lives_a_week_at_most(seconds: int) -> None:
    with pytest.raises(ValidationError, match="download_seconds"):
        Settings(download_seconds=seconds)


def test_the_variable_is_blamed_and_no_secret_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_ARTIFACTS", "s3://key:secret@songs/a")
    monkeypatch.setenv("ACESTEP_DOWNLOADS", "redirect")
    config = {"applications": [{"import_path": "deployments.app:build", "name": "a"}]}
    (mistake,) = mistakes(config)
    assert "environment variable ACESTEP_ARTIFACTS='s3://***@songs/a'" in mistake
    assert "secret" not in mistake
    monkeypatch.setenv("ACESTEP_ARTIFACTS", "file:///srv/audio")
    (mistake,) = mistakes(config)
    assert "environment variable ACESTEP_DOWNLOADS='redirect': redirect needs" in mistake
