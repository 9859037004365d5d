"""A message as it is sent: JSON, with the headers of Standard Webhooks."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook as Signer

from acestep_ray import __version__
from acestep_ray.jobs.store.records import JobChange

_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Message:
    """``message_id``: the same at every try. ``kind``: an EventKind. ``at``: when that happened,
    epoch seconds. ``data``: the job. ``trace``: W3C traceparent of its submit, or empty."""

    message_id: str
    kind: str
    at: float
    data: Mapping[str, Any]
    trace: str = ""

    def body(self) -> str:
        """The JSON text."""
        timestamp = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "type": message_type(self.kind),
                "timestamp": timestamp.replace("+00:00", "Z"),
                "data": self.data,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


def message_type(kind: str) -> str:
    """The type of a message about an event of this kind."""
    return f"job.{kind}"


def signed(message: Message, secrets: Sequence[str], now: float) -> tuple[dict[str, str], bytes]:
    """Headers and body of a try at ``now`` (epoch seconds), with a signature by each secret."""
    body = message.body()
    at = datetime.fromtimestamp(int(now), UTC)
    signatures = [Signer(secret).sign(message.message_id, at, body) for secret in secrets]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"acestep-ray/{__version__}",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }
    if _TRACE.fullmatch(message.trace):
        headers["traceparent"] = message.trace
    return headers, body.encode()


def data_of_deleted(change: JobChange) -> dict[str, Any]:
    """What is still known of a job that was deleted, or has expired, before its message was sent:
    the members of a job that a change holds."""
    return {
        "job_id": change.job_id,
        "status": str(change.status),
        "created_at": change.created_at,
        "started_at": change.started_at,
        "finished_at": change.finished_at,
        "error_code": change.error_code and str(change.error_code),
        "result": None,
    }
