"""Requests with a webhook: what is stored, and what is refused before a job is made."""

import json
import socket
import threading
from typing import Any

import pytest

from acestep_ray.jobs.store.operations import SaveDelivery
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.webhook import Webhook
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, field_errors, problem_of, warnings_of
from tests.unit.api.upstream.chats import chat, complete
from tests.unit.webhooks.deliveries import A_JOB
from tests.unit.webhooks.names import UNAVAILABLE, UNKNOWN, SetNames, set_names
from tests.webhook_receiver import SECRET

HOOK = "https://music.example/hook"
SIGNED = {"secret": SECRET}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> SetNames:
    put = set_names(monkeypatch)
    put({"music.example": [["1.1.1.1"]]})
    return put


@pytest.fixture
async def signing(make_api: MakeHarness, names: SetNames) -> ApiHarness:
    """A service with a secret; music.example has a public address."""
    return await make_api(webhooks=SIGNED)


def stored(api: ApiHarness) -> tuple[Webhook | None, tuple[str, ...]]:
    """The webhook of the last job, and the kinds of its stored messages."""
    last = api.service.submits[-1]
    webhook = Webhook.model_validate_json(last.webhook) if last.webhook else None
    return webhook, last.webhook_kinds


async def test_by_default_only_the_end_is_told(signing: ApiHarness) -> None:
    assert warnings_of(await signing.submit(webhook_url=HOOK)) == ""
    webhook, kinds = stored(signing)
    assert webhook == Webhook(url=HOOK, events=("ended",))
    assert kinds == ("ended",)


async def test_progress_is_not_stored_with_its_change(signing: ApiHarness) -> None:
    events = ["submitted", "running", "stage", "progress", "requeued", "ended"]
    assert warnings_of(await signing.submit(webhook_url=HOOK, webhook_events=events)) == ""
    webhook, kinds = stored(signing)
    assert webhook and [*webhook.events] == events
    assert kinds == ("submitted", "running", "requeued", "ended")


async def test_the_task_is_stored_for_metrics(api: ApiHarness) -> None:
    await api.submit()
    assert api.service.submits[-1].task == "text2music"
    assert stored(api) == (None, ())


async def test_fields_of_forms(signing: ApiHarness) -> None:
    fields = {"webhookUrl": HOOK, "webhook_events": "running, ended"}
    assert (await signing.http.post(URL, data=fields)).status_code == 200
    webhook, _ = stored(signing)
    assert webhook == Webhook(url=HOOK, events=("running", "ended"))
    files = {"webhook_url": (None, HOOK), "webhook_events": (None, '["stage"]')}
    assert (await signing.http.post(URL, files=files)).status_code == 200
    assert stored(signing)[1] == ()


async def test_without_a_secret_the_setting_is_named(api: ApiHarness, names: SetNames) -> None:
    """Messages without a signature could be anybody's."""
    errors = field_errors(await api.submit(webhook_url=HOOK))
    assert "ACESTEP_WEBHOOKS__SECRET" in errors["webhook_url"]
    assert await api.queued() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8265/api/jobs/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0x7f.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1:6379/",
    ],
)
async def test_addresses_that_are_not_public_are_refused(make_api: MakeHarness, url: str) -> None:
    api = await make_api(webhooks=SIGNED)
    error = field_errors(await api.submit(webhook_url=url))["webhook_url"]
    assert "must have a public address" in error and "ACESTEP_WEBHOOKS__ALLOW" in error
    assert await api.queued() == 0


async def test_names_of_addresses_that_are_not_public_are_refused(
    make_api: MakeHarness, names: SetNames
) -> None:
    api = await make_api(webhooks=SIGNED)
    names({"music.example": [["1.1.1.1", "10.77.0.1"]]})
    answer = await api.submit(webhook_url=HOOK)
    assert "must have a public address" in field_errors(answer)["webhook_url"]
    assert "10.77" not in answer.text  # the client need not know the service's network


async def test_what_the_setting_allows_is_accepted(make_api: MakeHarness) -> None:
    api = await make_api(webhooks=SIGNED | {"allow": "loopback, 10.0.0.0/8"})
    for url in ("http://127.0.0.1:9/", "http://[::1]/", "http://localhost/", "http://10.9.9.9/"):
        assert warnings_of(await api.submit(webhook_url=url)) == ""
    assert "webhook_url" in field_errors(await api.submit(webhook_url="http://192.168.0.1/"))


async def test_a_name_with_a_typo_is_refused(make_api: MakeHarness, names: SetNames) -> None:
    api = await make_api(webhooks=SIGNED)
    names({"music.example": [UNKNOWN]})
    assert "does not know" in field_errors(await api.submit(webhook_url=HOOK))["webhook_url"]


async def test_a_name_service_that_fails_refuses_nobody(
    make_api: MakeHarness, names: SetNames
) -> None:
    """Each try to send checks the address again."""
    api = await make_api(webhooks=SIGNED)
    names({"music.example": [UNAVAILABLE]})
    assert warnings_of(await api.submit(webhook_url=HOOK)) == ""


async def test_events_without_an_address(signing: ApiHarness) -> None:
    text = warnings_of(await signing.submit(webhook_events=["ended"]))
    assert text == "webhook_events is not used: there is no webhook_url."
    assert stored(signing) == (None, ())


async def test_a_bad_address_is_one_error_beside_the_others(signing: ApiHarness) -> None:
    answer = await signing.submit(
        webhook_url="http://10.0.0.1/", webhook_events=["ended", "over"], bpm=1
    )
    errors = field_errors(answer)
    assert set(errors) == {"webhook_url", "webhook_events", "bpm"}
    assert "submitted, running, stage, progress, requeued, ended" in errors["webhook_events"]


async def test_a_replay_changes_nothing(signing: ApiHarness) -> None:
    async def send(**fields: Any) -> Any:
        headers = {"Idempotency-Key": "one", "Content-Type": "application/json"}
        body = json.dumps({"caption": "a tune", "webhook_url": HOOK, **fields})
        return await signing.http.post(URL, content=body, headers=headers)

    first, again = await send(), await send()
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["job_id"] == again.json()["job_id"]
    other = await send(webhook_url="https://music.example/other")
    assert other.status_code == 422


async def test_the_service_does_not_wait_for_ever_for_a_name(
    make_api: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait(60) and [])
    monkeypatch.setattr("acestep_ray.webhooks.url_check.LOOKUP_SECONDS", 0.05)
    api = await make_api(webhooks=SIGNED)
    try:
        assert warnings_of(await api.submit(webhook_url=HOOK)) == ""
    finally:
        go_on.set()


@pytest.mark.parametrize(
    ("fields", "events"),
    [
        ({"webhook_url": HOOK}, ("ended",)),
        ({"webhookUrl": HOOK, "webhookEvents": "running,ended"}, ("running", "ended")),
        ({"webhook_url": HOOK, "webhook_events": '["stage"]'}, ("stage",)),
        ({"webhook_url": HOOK, "webhook_events": []}, ("ended",)),
        ({"webhook_url": HOOK, "webhook_events": "what"}, ("ended",)),
    ],
)
async def test_upstreams_route_reads_the_same_fields(
    signing: ApiHarness, fields: dict[str, Any], events: tuple[str, ...]
) -> None:
    answer = await signing.http.post("/release_task", json={"prompt": "a tune", **fields})
    assert answer.status_code == 200, answer.text
    assert stored(signing)[0] == Webhook(url=HOOK, events=events)
    unused = [text for text in answer.json()["data"]["warnings"] if "webhook" in text]
    assert len(unused) == (fields.get("webhook_events") == "what")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "hook", "ftp://music.example/", 5])
async def test_upstreams_route_makes_the_song_without_a_webhook_that_cannot_be(
    signing: ApiHarness, url: Any
) -> None:
    fields = {"prompt": "a tune", "webhook_url": url, "webhook_events": ["ended"]}
    answer = await signing.http.post("/release_task", json=fields)
    assert answer.status_code == 200, answer.text
    assert stored(signing) == (None, ())
    assert "webhook_url must" in " ".join(answer.json()["data"]["warnings"])


async def test_chat_completions_pass_it_on(signing: ApiHarness) -> None:
    fields = chat("<prompt>a tune</prompt>", webhook_url=HOOK)
    assert (await complete(signing, fields)).status_code == 200
    assert stored(signing)[0] == Webhook(url=HOOK)


async def test_what_became_of_the_messages(signing: ApiHarness) -> None:
    fields = {"webhook_url": HOOK, "webhook_events": ["submitted", "ended"]}
    job_id = (await signing.submit(**fields)).json()["job_id"]
    path = f"/v1/jobs/{job_id}/deliveries"
    await signing.http.post(f"/v1/jobs/{job_id}/cancel")
    answer = await signing.http.get(path)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    first, last = answer.json()["deliveries"]
    assert (first["type"], last["type"]) == ("job.submitted", "job.ended")
    assert last == {
        "delivery_id": last["delivery_id"],
        "type": "job.ended",
        "state": "pending",
        "created_at": last["created_at"],
        "tries": 0,
        "last_try_at": None,
        "next_try_at": last["next_try_at"],
        "http_status": None,
        "error": None,
    }
    outcome = SaveDelivery(last["delivery_id"], DeliveryState.DELIVERED, 1, http_status=204)
    await signing.service.client.apply(outcome)
    last = (await signing.http.get(path)).json()["deliveries"][1]
    assert (last["state"], last["tries"], last["http_status"]) == ("delivered", 1, 204)
    assert last["next_try_at"] is None and last["last_try_at"]


async def test_messages_of_jobs_that_are_not_there(signing: ApiHarness) -> None:
    problem_of(await signing.http.get(f"/v1/jobs/{A_JOB}/deliveries"), 404, "job_not_found")
    problem_of(await signing.http.get("/v1/jobs/nonsense/deliveries"), 404, "job_not_found")
    plain = (await signing.submit()).json()["job_id"]
    path = f"/v1/jobs/{plain}/deliveries"
    assert (await signing.http.get(path)).json() == {"deliveries": []}
    await signing.http.delete(f"/v1/jobs/{plain}")
    problem_of(await signing.http.get(path), 410, "job_expired")


async def test_messages_of_a_deleted_job_that_still_have_to_be_sent(signing: ApiHarness) -> None:
    job_id = (await signing.submit(webhook_url=HOOK)).json()["job_id"]
    await signing.http.delete(f"/v1/jobs/{job_id}")
    answer = await signing.http.get(f"/v1/jobs/{job_id}/deliveries")
    assert [one["type"] for one in answer.json()["deliveries"]] == ["job.ended"]
