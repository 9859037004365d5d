"""Messages: what the official library of Standard Webhooks accepts, and nothing else."""

import json
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from acestep_ray import __version__
from acestep_ray.jobs.job import ErrorCode
from acestep_ray.webhooks.message import Message, data_of_deleted, signed
from tests.unit.webhooks.deliveries import A_JOB, ended
from tests.webhook_receiver import OTHER_SECRET, SECRET

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MESSAGE = Message("m-1", "ended", 1700000010.25, {"job_id": A_JOB, "error": "Ünï\n"}, TRACE)


def test_the_official_library_verifies_a_message() -> None:
    headers, body = signed(MESSAGE, [SECRET], time.time())
    assert Webhook(SECRET).verify(body, headers) == {
        "type": "job.ended",
        "timestamp": "2023-11-14T22:13:30.250Z",
        "data": {"job_id": A_JOB, "error": "Ünï\n"},
    }
    assert headers["webhook-id"] == "m-1"
    assert headers["traceparent"] == TRACE
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == f"acestep-ray/{__version__}"


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_changed_message_is_not_verified(changed: str) -> None:
    now = time.time()
    headers, body = signed(MESSAGE, [SECRET], now)
    if changed == "body":
        body = body.replace(b"ended", b"Ended")
    else:
        headers[changed] = str(int(now) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_during_a_change_of_the_secret_both_are_good() -> None:
    headers, body = signed(MESSAGE, [SECRET, OTHER_SECRET], time.time())
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(body, headers)["type"] == "job.ended"
    only_new, body = signed(MESSAGE, [OTHER_SECRET], time.time())
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, only_new)


def test_a_repeated_message_has_its_id_and_a_new_time() -> None:
    first, _ = signed(MESSAGE, [SECRET], 1000.0)
    second, _ = signed(MESSAGE, [SECRET], 5000.9)
    assert first["webhook-id"] == second["webhook-id"]
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1000", "5000")


@pytest.mark.parametrize("trace", ["", "x", f"{TRACE}\r\nX-Header: 1"])
def test_a_trace_that_is_none_is_not_sent(trace: str) -> None:
    headers, _ = signed(Message("m", "ended", 0.0, {}, trace), [SECRET], 0.0)
    assert "traceparent" not in headers


def test_of_a_deleted_job_its_end_remains() -> None:
    change = ended(created_at=1.0, started_at=2.0, finished_at=3.0)
    assert json.loads(json.dumps(data_of_deleted(change))) == {
        "job_id": A_JOB,
        "status": "succeeded",
        "created_at": 1.0,
        "started_at": 2.0,
        "finished_at": 3.0,
        "error_code": None,
        "result": None,
    }
    assert data_of_deleted(ended(error_code=ErrorCode.CANCELLED))["error_code"] == "cancelled"
