"""Tasks of upstream's API in tests: send one, and return what the engines would get."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel

from acestep_ray.jobs.engine_requests import decode_request, plan_request
from tests.unit.api.harness import ApiHarness


@dataclass(frozen=True)
class Engines:
    """The engines' requests of a job, as flat objects; ``plan`` is empty without the LM."""

    plan: dict[str, Any]
    decode: dict[str, Any]
    warnings: str


def data_of(answer: httpx.Response) -> Any:
    """The ``data`` of a good response; its envelope is checked."""
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert {"data", "code", "error", "timestamp", "extra"} <= set(envelope)
    assert (envelope["code"], envelope["error"], envelope["extra"]) == (200, None, None)
    assert envelope["timestamp"] > 1_700_000_000_000
    return envelope["data"]


async def release(api: ApiHarness, **fields: object) -> Engines:
    """Send a task as JSON."""
    return await engines(api, await api.http.post("/release_task", json=fields))


async def engines(api: ApiHarness, answer: httpx.Response) -> Engines:
    """What the engines would get of a released task."""
    data = data_of(answer)
    assert data["status"] == "queued" and data["queue_position"] >= 1
    spec = await api.stored(data["task_id"])
    assert list(spec.warnings) == data["warnings"], "the job has the warnings of the response"
    plan = plan_request("", 0, spec, api.settings) if spec.needs_plan else None
    decode = decode_request("", 0, spec, None, api.settings)
    return Engines(_flat(plan) if plan else {}, _flat(decode), " ".join(spec.warnings))


def _flat(model: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in dict(model).items():
        fields[name] = value
        if isinstance(value, BaseModel) and name not in ("source", "reference"):
            fields |= _flat(value)
    return fields


async def query(api: ApiHarness, *task_ids: str) -> list[dict[str, Any]]:
    """The states of tasks; each ``result`` is read from its JSON text into ``items``."""
    answer = await api.http.post("/query_result", json={"task_id_list": list(task_ids)})
    states: list[dict[str, Any]] = data_of(answer)
    return [{**state, "items": json.loads(state["result"])} for state in states]
