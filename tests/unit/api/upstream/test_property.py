"""Whatever a client of upstream's API sends: no server error, and every job can be polled."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.api.app import create_app
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.settings import Limits, Settings
from tests.unit.api.harness import LocalService
from tests.unit.api.test_property import BODIES, QUICK, TEXTS, VALUES
from tests.unit.api.upstream.writers import MockWriters

PARTS = st.dictionaries(
    st.sampled_from(["type", "text", "input_audio", "audio_url"]),
    st.one_of(
        VALUES,
        st.sampled_from(["text", "input_audio", "audio_url"]),
        st.dictionaries(st.sampled_from(["data", "url", "format"]), VALUES),
    ),
)
MESSAGES = st.dictionaries(
    st.sampled_from(["role", "content"]),
    st.one_of(VALUES, st.just("user"), st.lists(PARTS, max_size=3)),
)


class Caller:
    """One app with its own event loop, because hypothesis calls plain functions."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient) -> None:
        self._runner, self._http = runner, http

    def __call__(self, path: str, body: object) -> Any:
        """The ``data`` of the response to a JSON body; None if it was refused."""
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._runner.run(self._http.post(path, content=content, headers=headers))
        assert answer.status_code in (200, 400, 422, 504), answer.text
        return answer.json()["data"] if answer.status_code == 200 else None


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Caller]:
    settings = Settings(data=tmp_path, limits=Limits(queue=10_000, completion_wait=0.001))
    service = LocalService(tmp_path / "jobs.sqlite", settings)
    app = create_app(settings, service, Artifacts(settings.artifacts_url), MockWriters())
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://music")
    with asyncio.Runner() as runner:
        runner.run(service.coordinator.open())
        yield Caller(runner, http)
        runner.run(http.aclose())
        runner.run(service.coordinator.close())


@QUICK
@given(body=BODIES)
def test_any_task(call: Caller, body: dict[str, Any]) -> None:
    if task := call("/release_task", body):
        (state,) = call("/query_result", {"task_id_list": [task["task_id"]]})
        assert state["status"] == 0
        assert json.loads(state["result"])[0]["warnings"] == task["warnings"]


@QUICK
@given(ids=st.one_of(VALUES, st.lists(TEXTS, max_size=4)))
def test_any_list_of_tasks(call: Caller, ids: object) -> None:
    for state in call("/query_result", {"task_id_list": ids}) or []:
        assert state["status"] == 2


@QUICK
@given(body=st.dictionaries(st.sampled_from(["model", "slot", "lm_model_path"]), VALUES))
def test_any_init(call: Caller, body: dict[str, Any]) -> None:
    call("/v1/init", body)


@QUICK
@given(path=st.sampled_from(["/format_input", "/v1/create_sample", "/v1/understand"]), body=BODIES)
def test_any_text_of_a_song(call: Caller, path: str, body: dict[str, Any]) -> None:
    if data := call(path, body):
        assert data["caption"] and data["lyrics"] and data["bpm"]


@QUICK
@given(body=BODIES, messages=st.one_of(VALUES, st.lists(MESSAGES, max_size=3)), config=VALUES)
def test_any_chat(call: Caller, body: dict[str, Any], messages: object, config: object) -> None:
    """Its job is not made: what is accepted ends with 504."""
    fields = {**body, "messages": messages, "audio_config": config, "stream": False}
    assert call("/v1/chat/completions", fields) is None
