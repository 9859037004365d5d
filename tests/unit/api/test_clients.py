"""Real HTTP clients against the app on a socket: each sends a song to cover as its users would."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from email.mime.audio import MIMEAudio
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import pytest
import urllib3
from urllib3.fields import RequestField

from acestep_ray.jobs.spec import JobSpec
from tests.unit.api import test_server
from tests.unit.api.harness import URL
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.test_server import Server

server = test_server.server
KEY = {"Authorization": "Bearer k"}
FIELDS = {"task_type": "cover", "use_random_seed": "false"}


def curl(*arguments: str) -> Callable[[str, Path], bytes]:
    def send(url: str, song: Path) -> bytes:
        fields = [part for name, value in FIELDS.items() for part in ("-F", f"{name}={value}")]
        command = ["curl", "-s", "-H", "Authorization: Bearer k", url, *fields]
        command += [argument.replace("SONG", str(song)) for argument in arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return send


def with_httpx(url: str, song: Path) -> bytes:
    data = {**FIELDS, "seed": ["1", "2"]}
    return httpx.post(url, headers=KEY, data=data, files={"src_audio": song.read_bytes()}).content


def with_urllib3(url: str, song: Path) -> bytes:
    """File names as urllib3 1 and requests wrote them, and as mail libraries do."""
    file = RequestField("src_audio", song.read_bytes())
    disposition = f"form-data; name=\"src_audio\"; filename*=utf-8''{quote(song.name)}"
    file.headers = {"Content-Disposition": disposition, "Content-Type": "audio/wav"}
    fields = [RequestField.from_tuples(*field) for field in FIELDS.items()]
    fields += [RequestField.from_tuples("seed[]", seed) for seed in ("1", "2")]
    return urllib3.request("POST", url, headers=KEY, fields=[*fields, file]).data


def with_aiohttp(url: str, song: Path) -> bytes:
    async def send() -> bytes:
        form = aiohttp.FormData({**FIELDS, "seed": "[1, 2]", "bpm": str(None)})
        form.add_field("src_audio", song.read_bytes(), filename=song.name)
        async with (
            aiohttp.ClientSession(headers=KEY) as session,
            session.post(url, data=form) as answer,
        ):
            return await answer.read()

    return asyncio.run(send())


def with_a_mail(url: str, song: Path) -> bytes:
    mail = MIMEMultipart("form-data", boundary="mail")
    for name, value in {**FIELDS, "seed": "1,2"}.items():
        text = MIMEText(value)
        text.add_header("Content-Disposition", "form-data", name=name)
        mail.attach(text)
    file = MIMEAudio(song.read_bytes(), "wav")
    file.add_header("Content-Disposition", "form-data", name="src_audio", filename=song.name)
    mail.attach(file)
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=mail"}
    return httpx.post(url, headers=headers, content=mail.as_bytes()).content


CLIENTS: dict[str, Callable[[str, Path], bytes]] = {
    "curl": curl("-F", "src_audio=@SONG", "-F", "seed=1", "-F", "seed=2"),
    "curl, no file name": curl("-F", "src_audio=<SONG;type=audio/wav", "-F", "seed=[1,2]"),
    "curl, base64": curl(
        "-F", "src_audio=@SONG;encoder=base64", "-F", "seed[]=1", "-F", "seed[]=2"
    ),
    "curl, escapes": curl(
        "--form-escape", "-F", 'src_audio=@SONG;filename="a\\"b"', "-F", "seed=1"
    ),
    "httpx": with_httpx,
    "urllib3": with_urllib3,
    "aiohttp": with_aiohttp,
    "email": with_a_mail,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients(server: Server, tmp_path: Path, client: str) -> None:
    song = tmp_path / "曲 é.wav"
    song.write_bytes(SONG)
    answer: dict[str, Any] = json.loads(
        CLIENTS[client](f"http://127.0.0.1:{server.port}{URL}", song)
    )
    assert "warnings" not in answer and answer["status"] == "queued", answer
    spec = JobSpec.model_validate_json(server.service.submits[0].spec)
    assert spec.decode.source and spec.decode.source.samples == 16_000
    assert spec.decode.seeds == (1, 2)
