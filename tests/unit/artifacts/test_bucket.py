"""Google and Azure, as far as possible without them: URLs, and signatures made by this side."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acestep_ray.artifacts.store import Artifacts, Method


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account's file, with its own key."""
    key = rsa.generate_private_key(65_537, 2048)
    account = {
        "type": "service_account",
        "client_email": "songs@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"secret").decode())


@pytest.mark.usefixtures("google")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_google(method: Method) -> None:
    url = httpx.URL(await Artifacts("gs://songs/a").sign("takes/j/1/1.mp3", method, 300))
    assert (url.host, url.path) == ("storage.googleapis.com", "/songs/a/takes/j/1/1.mp3")
    assert url.params["X-Goog-Expires"] == "300"


@pytest.mark.usefixtures("azure")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_azure(method: Method) -> None:
    """The URL must allow reading, also for HEAD: without that right it is useless."""
    url = httpx.URL(await Artifacts("az://songs/a").sign("takes/j/1/1.mp3", method, 300))
    assert (url.host, url.path) == ("account.blob.core.windows.net", "/songs/a/takes/j/1/1.mp3")
    assert url.params["sp"] == "r"


async def test_a_folder_signs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no URL to sign"):
        await Artifacts(tmp_path.as_uri()).sign("k", "GET", 300)
