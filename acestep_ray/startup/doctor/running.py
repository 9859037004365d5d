"""The service that may be running at an address."""

import json
import urllib.error
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from acestep_ray.startup.supervisor import get

SERVICE = "acestep-ray"
"""Its name in GET /health."""
ANSWER_SECONDS = 3.0
"""Longest wait for a response, seconds: the service itself takes at most half a second."""
MOST_BYTES = 100_000


@dataclass(frozen=True)
class RunningService:
    """A service of this program. ``reasons``: why its engines are not ready, one sentence each."""

    url: str
    version: str
    ready: bool
    reasons: tuple[str, ...] = ()


def service_at(url: str) -> RunningService | None:
    """The service at ``url``; None if nothing answers there, or something else does."""
    health = _document(f"{url}/health")
    if not isinstance(health, dict) or health.get("service") != SERVICE:
        return None
    ready = _document(f"{url}/ready")
    state: dict[str, Any] = ready if isinstance(ready, dict) else {}
    reasons = state.get("reasons") or [state.get("detail") or "it does not report why"]
    if state.get("ready") is True:
        reasons = []
    return RunningService(
        url, str(health.get("version", "")), not reasons, tuple(map(str, reasons))
    )


def _document(url: str) -> Any:
    """The JSON at ``url``, also of an error; None if there is none."""
    try:
        with get(url, timeout=ANSWER_SECONDS) as answer:
            return json.loads(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _json(error)
    except (OSError, HTTPException, ValueError):
        return None


def _json(answer: urllib.error.HTTPError) -> Any:
    try:
        return json.loads(answer.read(MOST_BYTES))
    except (OSError, HTTPException, ValueError):
        return None
