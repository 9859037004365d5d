"""The other stores on the same Redis: what they change, and the states that they share.

Every batch with changes appends an entry to a stream: the name of its store; ``jobs``, an id and a
status for each change, which is all that earlier releases read; and ``changes``, the same changes
as stored_change.py describes. Entries are numbered without gaps, so that a reader notices if
entries were dropped before it read them. A state is a key that expires, and a set
holds the names of the stores.
"""

import threading
import time
from typing import Any

from acestep_ray.jobs.store.protocol import PeerUpdate
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.jobs.store.redis import codec
from acestep_ray.jobs.store.redis.connection import Connection
from acestep_ray.jobs.store.redis.script import PREFIX

STATE_SECONDS = 5.0
"""How long a shared state is kept if its owner no longer renews it."""
READ_STATES_EVERY = 0.5
"""Seconds between two reads of the others' states, at least."""
MAX_ENTRIES = 500
"""Most entries of the stream that are read in one call."""

_CHANGES = PREFIX + "changes"
_STORES = PREFIX + "stores"
_STATE = PREFIX + "board:"


class RedisPeers:
    """See Peers. The store sets ``unpublished`` if it is unknown what it has changed."""

    def __init__(self, connection: Connection, store: str, unpublished: threading.Event) -> None:
        self._connection = connection
        self._store = store
        self._unpublished = unpublished
        self._last: int | None = None  # number of the last entry that was read; None: unknown
        self._shared = ""
        self._share_again_at = self._read_states_at = float("-inf")
        self._states: tuple[str, ...] = ()

    def exchange(self, state: str, seconds: float) -> PeerUpdate:
        """See Peers."""
        try:
            with self._connection.address.failures():
                self._share(state)
                self._read_states()
                return self._read_changes(seconds)
        except BaseException:
            # A Redis that restarts may have lost entries that were read before.
            self._last = None
            self._share_again_at = float("-inf")
            raise

    def close(self) -> None:
        """See Peers."""
        self._connection.close()

    def _share(self, state: str) -> None:
        now = time.monotonic()
        if state == self._shared and now < self._share_again_at:
            return
        milliseconds = round(STATE_SECONDS * 1000)
        self._connection.execute("SET", _STATE + self._store, state, "PX", milliseconds)
        self._connection.execute("SADD", _STORES, self._store)
        self._shared, self._share_again_at = state, now + STATE_SECONDS / 2

    def _read_states(self) -> None:
        if time.monotonic() < self._read_states_at:
            return
        others = [
            name.decode()
            for name in self._connection.execute("SMEMBERS", _STORES)
            if name.decode() != self._store
        ]
        states = self._connection.execute("MGET", *(_STATE + n for n in others)) if others else []
        gone = [name for name, state in zip(others, states, strict=True) if state is None]
        if gone:
            self._connection.execute("SREM", _STORES, *gone)
        self._states = tuple(state.decode() for state in states if state is not None)
        self._read_states_at = time.monotonic() + READ_STATES_EVERY

    def _read_changes(self, seconds: float) -> PeerUpdate:
        if self._unpublished.is_set():
            self._unpublished.clear()
            self._last = None
        if self._last is None:
            self._last = self._newest()
            return PeerUpdate([], missed=True, states=self._states)
        missed = False
        changes: list[JobChange] = []
        for number, fields in self._after(self._last, seconds):
            missed = missed or number != self._last + 1
            self._last = number
            if fields[b"store"].decode() != self._store:
                changes += codec.changes_of_entry(fields)
        return PeerUpdate(changes, missed, self._states)

    def _newest(self) -> int:
        newest = self._connection.execute("XREVRANGE", _CHANGES, "+", "-", "COUNT", 1)
        return _number(newest[0][0]) if newest else 0

    def _after(self, last: int, seconds: float) -> list[tuple[int, dict[bytes, bytes]]]:
        block = ("BLOCK", max(1, round(seconds * 1000))) if seconds > 0 else ()
        options: tuple[Any, ...] = ("COUNT", MAX_ENTRIES, *block, "STREAMS", _CHANGES, f"0-{last}")
        reply = self._connection.execute("XREAD", *options)
        return [(_number(entry), fields) for _, found in reply or () for entry, fields in found]


def _number(entry: bytes) -> int:
    return int(entry.decode().removeprefix("0-"))
