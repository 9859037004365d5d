"""The other stores on the same Redis: what they change, and what they have on their boards.

Changes come from a stream that every batch with changes appends to; its entries are numbered
without gaps, so that a reader sees when some were dropped before it came. A board is a key that
expires, and a set of names says whose there are.
"""

import threading
import time
from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.protocol import Heard
from acestep_ray.jobs.store.redis import wire
from acestep_ray.jobs.store.redis.connection import Connection
from acestep_ray.jobs.store.redis.script import PREFIX

BOARD_SECONDS = 5.0
"""How long a board hangs that its owner no longer renews."""
LOOK_SECONDS = 0.5
"""Time between two looks at the boards, at least."""
MAX_ENTRIES = 500
"""Entries of the stream that are read at once."""

_CHANGES = PREFIX + "changes"
_STORES = PREFIX + "stores"
_BOARD = PREFIX + "board:"


class RedisPeers:
    """See Peers. ``untold`` is set by the store when it cannot tell what it changed itself."""

    def __init__(self, connection: Connection, store: str, untold: threading.Event) -> None:
        self._connection = connection
        self._store = store
        self._untold = untold
        self._last: int | None = None  # number of the last entry read; None: to be asked
        self._shown = ""
        self._show_again_at = self._look_at = float("-inf")
        self._boards: tuple[str, ...] = ()

    def exchange(self, board: str, seconds: float) -> Heard:
        """See Peers."""
        try:
            with self._connection.address.failures():
                self._show(board)
                self._look()
                return self._hear(seconds)
        except BaseException:
            # A Redis that was away may come back with less than was read of it.
            self._last = None
            self._show_again_at = float("-inf")
            raise

    def close(self) -> None:
        """See Peers."""
        self._connection.close()

    def _show(self, board: str) -> None:
        now = time.monotonic()
        if board == self._shown and now < self._show_again_at:
            return
        milliseconds = round(BOARD_SECONDS * 1000)
        self._connection.execute("SET", _BOARD + self._store, board, "PX", milliseconds)
        self._connection.execute("SADD", _STORES, self._store)
        self._shown, self._show_again_at = board, now + BOARD_SECONDS / 2

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        others = [
            name.decode()
            for name in self._connection.execute("SMEMBERS", _STORES)
            if name.decode() != self._store
        ]
        boards = self._connection.execute("MGET", *(_BOARD + n for n in others)) if others else []
        gone = [name for name, board in zip(others, boards, strict=True) if board is None]
        if gone:
            self._connection.execute("SREM", _STORES, *gone)
        self._boards = tuple(board.decode() for board in boards if board is not None)
        self._look_at = time.monotonic() + LOOK_SECONDS

    def _hear(self, seconds: float) -> Heard:
        if self._untold.is_set():
            self._untold.clear()
            self._last = None
        if self._last is None:
            self._last = self._newest()
            return Heard([], missed=True, boards=self._boards)
        missed = False
        changes: list[tuple[str, Status]] = []
        for number, fields in self._after(self._last, seconds):
            missed = missed or number != self._last + 1
            self._last = number
            if fields[b"store"].decode() != self._store:
                changes += wire.changes(wire.unpacked(fields[b"jobs"]))
        return Heard(changes, missed, self._boards)

    def _newest(self) -> int:
        newest = self._connection.execute("XREVRANGE", _CHANGES, "+", "-", "COUNT", 1)
        return _number(newest[0][0]) if newest else 0

    def _after(self, last: int, seconds: float) -> list[tuple[int, dict[bytes, bytes]]]:
        block = ("BLOCK", max(1, round(seconds * 1000))) if seconds > 0 else ()
        words: tuple[Any, ...] = ("COUNT", MAX_ENTRIES, *block, "STREAMS", _CHANGES, f"0-{last}")
        reply = self._connection.execute("XREAD", *words)
        return [(_number(entry), fields) for _, found in reply or () for entry, fields in found]


def _number(entry: bytes) -> int:
    return int(entry.decode().removeprefix("0-"))
