"""docs/events.md: its receiver is copied by users, so it must accept what the service sends."""

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from acestep_ray.jobs.webhook import WEBHOOK_KINDS
from acestep_ray.settings import Webhooks
from acestep_ray.webhooks.message import Message, message_type, signed
from tests.webhook_receiver import OTHER_SECRET, SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
JOB = {"job_id": "a", "status": "succeeded", "result": {"audio_paths": ["/v1/audio/a/1.mp3"]}}


async def test_the_receiver_of_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACESTEP_WEBHOOKS__SECRET", SECRET)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    module: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, "docs/events.md", "exec", dont_inherit=True), module)
    message = Message("m", "ended", time.time(), JOB)
    transport = httpx.ASGITransport(module["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://music") as http:

        async def send(secret: str) -> int:
            headers, body = signed(message, [secret], time.time())
            return (await http.post("/hooks/acestep", content=body, headers=headers)).status_code

        assert [await send(one) for one in (OTHER_SECRET, SECRET, SECRET)] == [401, 204, 204]
    assert capsys.readouterr().out.count("succeeded") == 1  # the repeated one is not used twice


def test_every_event_is_listed() -> None:
    for kind in WEBHOOK_KINDS:
        assert f"| `{kind}` | `{message_type(kind)}` |" in PAGE


def test_every_setting_is_listed() -> None:
    for name in Webhooks.model_fields:
        assert f"ACESTEP_WEBHOOKS__{name.upper()}" in PAGE
