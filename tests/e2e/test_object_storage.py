"""A whole service that stores its audio in an S3-compatible store; both ways to download it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.s3 import BUCKET, SECRET, S3Server
from tests.service import Service, running

KEY = "the service's key"


@pytest.fixture(scope="module", params=["stream", "redirect"])
def downloads(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def service(
    s3: S3Server, downloads: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    environment = s3.environment | {
        "ACESTEP_ARTIFACTS": f"s3://{BUCKET}/{downloads}",
        "ACESTEP_DOWNLOADS": downloads,
        "ACESTEP_API_KEY": KEY,
    }
    with running(tmp_path_factory.mktemp(downloads) / "data", environment) as service:
        service.http.headers["Authorization"] = f"Bearer {KEY}"
        yield service


def curl(service: Service, path: str, to: Path, *options: str) -> dict[str, str]:
    """Fetch as a user would; returns the last response's headers, and its status as ``status``."""
    reported = to.with_name("headers")
    command: list[str | Path] = [
        "curl",
        "-sSL",
        "-H",
        f"Authorization: Bearer {KEY}",
        "-o",
        to,
        "-D",
        reported,
    ]
    subprocess.run([*command, *options, service.url + path], check=True)
    status, *lines = reported.read_text().strip().split("\n\n")[-1].splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return headers | {"status": status.split()[1]}


def keys_of(s3: S3Server, job: dict[str, Any]) -> list[str]:
    return [key.rpartition("/")[2] for key in s3.stored() if job["job_id"] in key]


def test_a_source_goes_in_and_its_cover_comes_out(
    service: Service, s3: S3Server, tmp_path: Path
) -> None:
    song = service.make(caption="Café noir", audio_duration=8, batch_size=1, audio_format="flac")
    file = tmp_path / "song.flac"
    headers = curl(service, song["result"]["first_audio_path"], file)
    assert headers["status"] == "200"
    assert headers["content-type"] == "audio/flac"
    assert "filename*=utf-8''caf%c3%a9%20noir%201.flac" in headers["content-disposition"]
    assert file.read_bytes()[:4] == b"fLaC"

    answer = service.http.post(
        "/v1/music/generate",
        data={"task_type": "cover", "caption": "strings", "batch_size": "2", "audio_format": "wav"},
        files={"src_audio": file.read_bytes()},
    )
    assert answer.status_code == 200, answer.text
    cover = service.finish(answer.json()["job_id"])
    assert cover["status"] == "succeeded", cover
    assert sorted(keys_of(s3, cover)) == ["1.wav", "2.wav", "source.flac"]

    whole, part = tmp_path / "whole", tmp_path / "part"
    path = cover["result"]["second_audio_path"]
    assert curl(service, path, whole)["status"] == "200"
    headers = curl(service, path, part, "--range", "1000-1999")
    assert (headers["status"], part.read_bytes()) == ("206", whole.read_bytes()[1000:2000])
    assert headers["content-range"] == f"bytes 1000-1999/{whole.stat().st_size}"

    for job in (song, cover):
        assert service.http.delete(f"/v1/jobs/{job['job_id']}").status_code == 204
    left = [*keys_of(s3, song), *keys_of(s3, cover)]
    assert left == [], "audio of a deleted job is still stored"
    assert not (service.data / "artifacts").exists()


def test_a_redirect_needs_the_key_and_then_none(service: Service, downloads: str) -> None:
    path = service.make(audio_duration=1, batch_size=1)["result"]["first_audio_path"]
    stranger = httpx.get(service.url + path)
    assert (stranger.status_code, stranger.headers.get("location")) == (401, None)
    answer = service.http.get(path)
    followed = service.http.get(path, follow_redirects=True)
    assert followed.status_code == 200
    if downloads == "redirect":
        assert answer.status_code == 307
        assert httpx.get(answer.headers["location"]).content == followed.content
    else:
        assert answer.content == followed.content


def test_no_credential_is_logged(service: Service) -> None:
    assert SECRET not in service.log.read_text()
