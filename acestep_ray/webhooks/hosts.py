"""Turns of the hosts that are called: no host takes more than its share of the tries."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MOST_WAITING = 200
"""Messages that wait in memory for one host. Others stay in the store until they are handed out
again."""


class TurnedAway(Exception):
    """The message cannot be sent in time."""


@dataclass
class _Host:
    slots: asyncio.Semaphore
    users: int = 0  # messages that wait, or are being sent
    silences: int = 0  # rests since the last response
    rests_until: float = field(default=float("-inf"))


class Hosts:
    """Who may send now. One per process. ``most``: tries at a time; ``per_host``: of these, to one
    host.

    A host that does not respond is left alone for ``first_rest`` seconds, then for twice that, and
    so on up to ``longest_rest``. Meanwhile only its own messages wait.
    """

    def __init__(
        self, most: int, per_host: int, first_rest: float = 1.0, longest_rest: float = 60.0
    ) -> None:
        self._slots = asyncio.Semaphore(most)
        self._per_host = per_host
        self._first_rest = first_rest
        self._longest_rest = longest_rest
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, name: str, until: float) -> AsyncIterator[None]:
        """A turn to send one message to a host. Raises TurnedAway if too many wait for it, or if
        the turn comes after ``until`` (of time.monotonic)."""
        host = self._host(name)
        if host.users >= MOST_WAITING:
            raise TurnedAway
        host.users += 1
        try:
            while True:
                await _rested(host, until)
                # The host's own slot first: who waits for a busy host holds nobody else up.
                async with host.slots, self._slots:
                    now = time.monotonic()
                    if now > until:
                        raise TurnedAway
                    if now >= host.rests_until:
                        yield
                        return
        finally:
            host.users -= 1

    def note(self, name: str, *, responded: bool) -> None:
        """A try got a response from the host, whatever it was, or none."""
        host = self._host(name)
        now = time.monotonic()
        if responded:
            host.silences, host.rests_until = 0, float("-inf")
        elif now >= host.rests_until:  # of several tries at a time, the first one counts
            rest = self._first_rest * 2.0 ** min(host.silences, 60)
            host.rests_until = now + min(rest, self._longest_rest)
            host.silences += 1

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            self._forget()
            self._hosts[name] = _Host(asyncio.Semaphore(self._per_host))
        return self._hosts[name]

    def _forget(self) -> None:
        """Forget the hosts for which nothing was to be done for a while."""
        before = time.monotonic() - 10 * self._longest_rest
        self._hosts = {
            name: host
            for name, host in self._hosts.items()
            if host.users or (host.silences and host.rests_until > before)
        }


async def _rested(host: _Host, until: float) -> None:
    """Wait until the host may be tried again. Raises TurnedAway if that is after ``until``."""
    while (now := time.monotonic()) < host.rests_until:
        if host.rests_until > until:
            raise TurnedAway
        await asyncio.sleep(host.rests_until - now)
