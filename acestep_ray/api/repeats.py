"""Requests that a client repeats because it did not get the answer: they get the same job.

Some of upstream's clients send a task again if they get no answer for minutes. A repeat is
recognised only if it is known that the answer to the first request was not delivered: its client
had disconnected before. A client that got its answer and sends the same again gets another job.

Known in the memory of one ingress replica, because the moment matters: a repeat often comes while
the first request is still being queued, when the job store has nothing of it.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable

from fastapi import Request

from acestep_ray.api.request.body import Body
from acestep_ray.jobs.store.records import Submitted

MOST = 1000
"""Requests that are remembered at a time; the oldest are forgotten first."""


class Repeats:
    """The requests without a delivered answer, for ``seconds`` (0: none). In one event loop."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._undelivered: dict[str, tuple[float, asyncio.Future[Submitted]]] = {}

    def keep(self, key: str, queued: asyncio.Future[Submitted]) -> None:
        """Remember a request whose client has disconnected, and what its submit returns or raises
        (perhaps later)."""
        if not self._seconds:
            return
        self._undelivered.pop(key, None)
        self._undelivered[key] = (self._clock() + self._seconds, queued)
        while len(self._undelivered) > MOST:
            del self._undelivered[next(iter(self._undelivered))]

    def keep_submitted(self, key: str, submitted: Submitted) -> None:
        """Remember a request whose job is queued, and whose client has disconnected."""
        queued = asyncio.get_running_loop().create_future()
        queued.set_result(submitted)
        self.keep(key, queued)

    async def earlier(self, key: str) -> Submitted | None:
        """What was queued for the same request; None if there is none, or if it failed.

        It is forgotten then, except if this client disconnects while it waits.
        """
        until, queued = self._undelivered.pop(key, (0.0, None))
        if queued is None or until < self._clock():
            return None
        try:
            return await asyncio.shield(queued)
        except asyncio.CancelledError:
            if not queued.cancelled():
                self.keep(key, queued)
            raise
        except Exception:
            return None


def repeat_key(request: Request, body: Body) -> str:
    """The same for requests with the same fields and files from the same client, as far as
    addresses, programs and API keys distinguish clients."""
    names = ("x-forwarded-for", "user-agent", "authorization", "x-api-key")
    sender = [request.client.host if request.client else "", *map(request.headers.get, names)]
    return hashlib.sha256(json.dumps([body.fingerprint, *sender]).encode()).hexdigest()
