"""Errors of the storage are reported at start, in a sentence with the setting and the cure."""

import subprocess
import sys
from pathlib import Path

import pytest

from acestep_ray.artifacts.check import check_storage
from acestep_ray.artifacts.errors import StorageError, StorageUnusable
from tests.s3 import READER_KEY, READER_SECRET, S3Server

Environment = pytest.MonkeyPatch


def fault(url: str, *, signing: bool = False) -> str:
    """The one sentence with which a check of unusable storage ends."""
    with pytest.raises(StorageUnusable) as caught:
        check_storage(url, signing=signing)
    reported = str(caught.value)
    assert "\n" not in reported and reported.endswith(".")
    return reported


def test_good_storage_passes_and_nothing_is_left(s3: S3Server, s3_url: str, tmp_path: Path) -> None:
    before = s3.stored()
    check_storage(s3_url, signing=True)
    assert s3.stored() == before
    check_storage((tmp_path / "new" / "folder").as_uri())
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new" / "folder"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    reported = fault((tmp_path / "file" / "store").as_uri())
    assert (
        "Not a directory" in reported
        and "ACESTEP_ARTIFACTS" in reported
        and "ACESTEP_DATA" in reported
    )


FULL = """
import resource, sys
from acestep_ray.artifacts.check import check_storage
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
check_storage(sys.argv[1])
"""


def test_a_full_disk_keeps_nothing_from_starting(tmp_path: Path) -> None:
    """Jobs are deleted through the service. A file size limit simulates the full disk."""
    subprocess.run([sys.executable, "-c", FULL, tmp_path.as_uri()], check=True)


def test_a_bucket_that_does_not_exist(s3_url: str) -> None:
    reported = fault("s3://nowhere/x")
    assert "ACESTEP_ARTIFACTS=s3://nowhere/x" in reported and "create it" in reported


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [
        ("writer", "not the secret", "SignatureDoesNotMatch"),
        ("stranger", "a secret", "InvalidAccessKeyId"),
        (READER_KEY, READER_SECRET, "AccessDenied"),  # may read, but not write
    ],
)
def test_credentials_that_do_not_do(
    s3_url: str, monkeypatch: Environment, key: str, secret: str, code: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    reported = fault(s3_url)
    assert s3_url in reported and code in reported and "AWS_SECRET_ACCESS_KEY" in reported
    assert secret not in reported


def test_half_of_the_credentials(s3_url: str, monkeypatch: Environment) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    reported = fault(s3_url)
    assert "Missing SecretAccessKey" in reported and "AWS_SECRET_ACCESS_KEY" in reported


def test_no_credentials_at_all(s3: S3Server, s3_url: str, monkeypatch: Environment) -> None:
    """Then some are requested from the machine's cloud, at an address where no server is here."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    reported = fault(s3_url)
    assert "needs credentials" in reported and "AWS_ACCESS_KEY_ID" in reported


@pytest.mark.parametrize(
    ("endpoint", "allow", "cure"),
    [
        ("nonsense", "true", "https://s3.example.com"),
        ("ftp://127.0.0.1", "true", "https://s3.example.com"),
        ("http://127.0.0.1:1", "", "AWS_ALLOW_HTTP=true"),
        ("http://127.0.0.1:1", "false", "AWS_ALLOW_HTTP=true"),
    ],
)
def test_an_endpoint_that_is_none(
    s3_url: str, monkeypatch: Environment, endpoint: str, allow: str, cure: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", allow)
    reported = fault(s3_url)
    assert "AWS_ENDPOINT_URL" in reported and cure in reported


def test_storage_that_is_away_may_come_back(s3_url: str, monkeypatch: Environment) -> None:
    """The settings are right, so this is no reason to stop."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        check_storage(s3_url, patience=0.5)
    assert not isinstance(caught.value, StorageUnusable)
    assert s3_url in str(caught.value)


@pytest.mark.parametrize(
    ("url", "variables"),
    [("az://songs/x", "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY")],
)
def test_other_clouds_name_their_own_variables(
    monkeypatch: Environment, url: str, variables: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    assert variables in fault(url)
