"""Idempotency-Key: a submit that is sent twice is one job."""

import httpx
import pytest

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, problem_of
from tests.unit.api.request.test_source_audio import SONG, song


async def send(api: ApiHarness, key: str, fields: object, **headers: str) -> httpx.Response:
    return await api.http.post(URL, json=fields, headers={"Idempotency-Key": key, **headers})


async def test_the_same_request_is_the_same_job(api: ApiHarness) -> None:
    first = await send(api, "one", {"caption": "x", "seed": 1})
    again = await send(api, "one", {"seed": 1, "caption": "x"})
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = await send(api, "two", {"caption": "x", "seed": 1})
    assert other.json()["job_id"] != first.json()["job_id"]
    assert await api.queued() == 2


async def test_the_answer_follows_the_job(api: ApiHarness) -> None:
    first = await send(api, "one", {})
    await api.succeed()
    again = (await send(api, "one", {})).json()
    assert again["job_id"] == first.json()["job_id"]
    assert (again["status"], again["queue_position"]) == ("succeeded", 0)


async def test_another_request_is_refused(api: ApiHarness) -> None:
    await send(api, "one", {"caption": "x"})
    for fields in ({"caption": "y"}, {"caption": "x", "bpm": 90}, {"caption": "x", "bpm": None}):
        problem_of(await send(api, "one", fields), 422, "idempotency_key_reused")


async def test_how_the_client_wraps_a_form_does_not_matter(api: ApiHarness) -> None:
    """A multipart form has a new boundary each time it is sent."""
    ids = set()
    for data in (SONG, SONG):
        answer = await api.http.post(
            URL,
            data={"task_type": "repaint"},
            files={"src_audio": ("song.wav", data)},
            headers={"Idempotency-Key": "one"},
        )
        ids.add(answer.json()["job_id"])
    assert len(ids) == 1
    assert len(await api.stored_keys()) == 1  # the second upload is deleted
    other = await api.http.post(
        URL,
        data={"task_type": "repaint"},
        files={"src_audio": ("song.wav", song(3))},
        headers={"Idempotency-Key": "one"},
    )
    problem_of(other, 422, "idempotency_key_reused")
    assert len(await api.stored_keys()) == 1


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "é", "a\tb"])
async def test_keys_that_are_none(api: ApiHarness, key: str) -> None:
    answer = await api.http.post(
        URL, json={}, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )
    problem_of(answer, 422, "invalid_idempotency_key")
    assert await api.queued() == 0


async def test_keys_are_the_api_keys_own(make_api: MakeHarness) -> None:
    api = await make_api(api_key="secret")
    await send(api, "one", {}, Authorization="Bearer secret")
    (order,) = api.service.submits
    assert order.owner and "secret" not in order.owner
    assert len(order.fingerprint) == 64 and order.idempotency_key == "one"
