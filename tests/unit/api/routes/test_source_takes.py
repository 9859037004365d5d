"""A take of an earlier job as source or reference: it is not fetched and sent again."""

import json
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import BASE, MOCK_LM, URL, ApiHarness, field_errors, problem_of
from tests.unit.api.request.test_source_audio import SONG, song
from tests.unit.api.upstream.tasks import release

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
LONGER = song(4.0)


async def earlier(api: ApiHarness, *takes: bytes) -> str:
    """A job that has succeeded; its takes hold these WAV files."""
    await api.submit()
    return await api.succeed(takes or (SONG, LONGER), ext="wav")


@pytest.mark.parametrize("task", ["cover", "repaint", "lego", "extract", "complete"])
async def test_every_task_with_a_source(api: ApiHarness, task: str) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    tracks: Any = {"lego": {"track_name": "drums"}, "extract": {"track_name": "drums"},
              "complete": {"track_classes": ["drums"]}}.get(task, {})  # fmt: skip
    job_id = await earlier(api)
    for number, samples in ((None, 16_000), (1, 16_000), ("2", 32_000)):
        answer = await api.submit(
            task_type=task, src_job_id=job_id.upper(), src_take=number, **tracks, inference_steps=50
        )
        assert answer.status_code == 200, answer.text
        assert "warnings" not in answer.json()
        stored = (await api.stored(answer.json()["job_id"])).decode.source
        assert stored is not None and stored.samples == samples
        assert stored.key in await api.stored_keys()


async def test_a_take_as_reference_and_another_as_source(api: ApiHarness) -> None:
    job_id = await earlier(api)
    fields = {"srcJobId": job_id, "src_take": 2, "reference_job_id": job_id, "task_type": "cover"}
    spec = await api.spec(**fields)
    assert spec.decode.source is not None and spec.decode.reference is not None
    assert (spec.decode.source.samples, spec.decode.reference.samples) == (32_000, 16_000)


async def test_the_source_stays_when_its_job_is_deleted(api: ApiHarness) -> None:
    job_id = await earlier(api)
    spec = await api.spec(task_type="cover", src_job_id=job_id)
    await api.http.delete(f"/v1/jobs/{job_id}")
    assert spec.decode.source is not None
    assert await api.stored_keys() == [spec.decode.source.key]


async def test_a_form_names_a_take(api: ApiHarness) -> None:
    fields = {"task_type": "repaint", "src_job_id": await earlier(api), "src_take": "2"}
    fields |= {"reference_job_id": "", "reference_take": ""}
    answer = await api.http.post(URL, data=fields)
    assert answer.status_code == 200, answer.text
    source = (await api.stored(answer.json()["job_id"])).decode.source
    assert source is not None and source.samples == 32_000


@pytest.mark.parametrize("name", ["src", "reference"])
async def test_jobs_and_takes_that_do_not_exist(api: ApiHarness, name: str) -> None:
    job, take = f"{name}_job_id", f"{name}_take"
    succeeded = await earlier(api)
    deleted = await earlier(api)
    await api.http.delete(f"/v1/jobs/{deleted}")
    gone = await earlier(api)
    await api.artifacts.delete_prefix(f"takes/{gone}")
    await api.submit()
    failed = await api.service.start()
    await api.service.finish(failed, None)
    queued = (await api.submit()).json()["job_id"]
    for fields, field, why in (
        ({job: UNKNOWN}, job, "no such job"),
        ({job: deleted}, job, "deleted or has expired"),
        ({job: queued}, job, "is queued"),
        ({job: failed.job_id}, job, "is failed"),
        ({job: succeeded, take: 3}, take, "has 2 takes; got 3"),
        ({job: gone}, job, "no longer stored"),
        ({job: "take 1"}, job, "must be the job_id of a succeeded job"),
    ):
        answer = await api.submit(
            task_type="cover",
            **fields,
            **({"src_job_id": succeeded} if name == "reference" else {}),
        )
        errors = field_errors(answer)
        assert list(errors) == [field] and why in errors[field], errors
        answer = await api.http.post(
            "/release_task",
            json={
                "task_type": "cover",
                **fields,
                "src_job_id": fields.get("src_job_id", succeeded),
            },
        )
        assert list(field_errors(answer)) == [field]
    assert await api.queued() == 1


@pytest.mark.parametrize("name", ["src", "reference"])
@pytest.mark.parametrize("take", [9, 0, "last"])
async def test_who_names_no_possible_take_learns_how_many_there_are(
    api: ApiHarness, name: str, take: object
) -> None:
    job_id = await earlier(api)
    fields: dict[str, Any] = {"task_type": "cover", "src_job_id": job_id}
    fields |= {f"{name}_job_id": job_id, f"{name}_take": take}
    for answer in (await api.submit(**fields), await api.http.post("/release_task", json=fields)):
        errors = field_errors(answer)
        assert list(errors) == [f"{name}_take"] and "The job has 2 takes." in errors[f"{name}_take"]


async def test_a_take_that_is_no_audio_names_its_field(api: ApiHarness) -> None:
    answer = await api.submit(task_type="cover", src_job_id=await earlier(api, b"x" * 500))
    assert "src_job_id is refused" in field_errors(answer, "invalid_audio")["src_job_id"]


async def test_a_window_outside_the_take_names_the_window(api: ApiHarness) -> None:
    job_id = await earlier(api)
    answer = await api.submit(task_type="repaint", src_job_id=job_id, repainting_start=99)
    assert list(field_errors(answer)) == ["repainting_start"]


@pytest.mark.parametrize("task", ["text2music", "cover"])
async def test_only_a_take_that_is_used_is_copied(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    copied: list[str] = []
    fetch = Artifacts.fetch

    async def counted(self: Artifacts, key: str, out: Path) -> None:
        copied.append(out.name)
        await fetch(self, key, out)

    monkeypatch.setattr(Artifacts, "fetch", counted)
    answer = await api.submit(task_type=task, src_job_id=await earlier(api))
    assert copied == (["src_audio"] if task == "cover" else [])
    unused = "The source audio is not used for text2music."
    assert answer.json().get("warnings") == (None if task == "cover" else [unused])


@pytest.mark.parametrize("path", [URL, "/release_task"])
async def test_a_file_wins_over_a_take_and_a_take_over_a_path(api: ApiHarness, path: str) -> None:
    job_id = await earlier(api)
    fields = {"task_type": "cover", "prompt": "jazz", "src_job_id": job_id, "src_take": "2"}
    for more, files, samples, unused in (
        ({}, {"src_audio": ("a.wav", SONG)}, 16_000, "src_job_id is not used: the file src_audio"),
        ({"src_audio_path": "/x.wav"}, {}, 32_000, "src_audio_path is not used: src_job_id"),
    ):
        answer = await api.http.post(path, data={**fields, **more}, files=files)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json().get("data") or answer.json()
        assert len(data["warnings"]) == 1 and unused in data["warnings"][0]
        source = (await api.stored(data.get("job_id") or data["task_id"])).decode.source
        assert source is not None and source.samples == samples


async def test_a_number_without_a_job(api: ApiHarness) -> None:
    answer = await api.submit(src_take=2, reference_take=1)
    assert answer.json()["warnings"] == [
        "src_take is not used: src_job_id was not sent.",
        "reference_take is not used: reference_job_id was not sent.",
    ]


async def test_a_key_names_the_take_too(api: ApiHarness) -> None:
    job_id = await earlier(api)
    fields = {"task_type": "cover", "src_job_id": job_id, "caption": "jazz"}
    headers = {"Idempotency-Key": "k"}
    first, again = [await api.http.post(URL, json=fields, headers=headers) for _ in range(2)]
    assert first.json()["job_id"] == again.json()["job_id"]
    answer = await api.http.post(
        URL,
        content=json.dumps({**fields, "src_take": 2}),
        headers={**headers, "Content-Type": "application/json"},
    )
    problem_of(answer, 422, "idempotency_key_reused")


async def test_upstreams_route_takes_it_too(api: ApiHarness) -> None:
    sent = await release(
        api, prompt="jazz", task_type="cover", src_job_id=await earlier(api), src_take=2
    )
    assert sent.decode["source"].samples == 32_000 and sent.warnings == ""
