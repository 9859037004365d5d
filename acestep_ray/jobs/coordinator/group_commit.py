"""Group commit: operations of concurrent callers go to disk together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from acestep_ray.jobs.store.errors import StoreFull, StoreUnavailable
from acestep_ray.jobs.store.operations import Op
from acestep_ray.jobs.store.protocol import JobStore, Peers
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.shared_work import start_task

MAX_GROUP = 1000
"""Most operations in one transaction, unless a single caller sends more."""

Stamp = TypeVar("Stamp")


@dataclass(frozen=True)
class _Call(Generic[Stamp]):
    batch: tuple[Op, ...]
    last: bool
    answers: asyncio.Future[tuple[list[object], Stamp]]


class GroupCommit(Generic[Stamp]):
    """A store in a thread of its own, for one event loop. ``publish`` is called with the changes of
    each transaction, before its callers get their answers.

    While a batch is written to disk, the batches that arrive wait, and are then written together:
    the disk is synced once for all of them, however many callers there are.
    """

    def __init__(
        self,
        store_factory: Callable[[], JobStore],
        clock: Callable[[], float],
        publish: Callable[[list[JobChange]], Stamp],
    ) -> None:
        self._factory = store_factory
        self._clock = clock
        self._publish = publish
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="job-store")
        self._store: JobStore | None = None  # set and closed in the thread
        self._closed = False
        self._waiting: deque[_Call[Stamp]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the store in its thread. Raises what the factory raises; ``close`` it even then."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open_store)

    def _open_store(self) -> None:
        self._store = self._factory()

    def peers(self) -> Peers | None:
        """See JobStore. The store must be open."""
        assert self._store is not None
        return self._store.peers()

    async def close(self) -> None:
        """Finish the calls under way, then close the store. Later calls raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            await self._writer
        # Also after an ``open`` whose caller was cancelled, so that no store stays open.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_store)
        self._thread.shutdown()

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    async def apply(self, batch: Sequence[Op]) -> list[object]:
        """As JobStore.apply. If a caller is cancelled while its batch waits, it is not applied."""
        return (await self._ask(batch, last=False))[0]

    async def read(self, batch: Sequence[Op]) -> tuple[list[object], Stamp]:
        """As ``apply``, for operations that change nothing; also what ``publish`` returned.

        What was read is the state after all changes that were published up to then, and before all
        later ones: the batch is applied after those that go with it.
        """
        return await self._ask(batch, last=True)

    async def _ask(self, batch: Sequence[Op], *, last: bool) -> tuple[list[object], Stamp]:
        if self._store is None or self._closed:
            raise StoreUnavailable("The job store is not open.")
        call: _Call[Stamp] = _Call(tuple(batch), last, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._writer is None or self._writer.done():
            self._writer = start_task(self._write(self._store))
        return await call.answers

    async def _write(self, store: JobStore) -> None:
        loop = asyncio.get_running_loop()
        while calls := self._next_group():
            batches = [call.batch for call in calls]
            try:
                outcomes, changes = await loop.run_in_executor(
                    self._thread, _commit, store, batches, self._clock()
                )
                stamp = self._publish(changes)
            except Exception as error:
                for call in calls:
                    if not call.answers.done():
                        call.answers.set_exception(error)
                continue
            except BaseException:  # the loop ends: no caller may be left waiting
                for call in (*calls, *self._waiting):
                    call.answers.cancel()
                raise
            for call, outcome in zip(calls, outcomes, strict=True):
                if call.answers.done():
                    continue
                if isinstance(outcome, Exception):
                    call.answers.set_exception(outcome)
                else:
                    call.answers.set_result((outcome, stamp))

    def _next_group(self) -> list[_Call[Stamp]]:
        group: list[_Call[Stamp]] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].batch) <= MAX_GROUP):
            call = self._waiting.popleft()
            if not call.answers.done():
                group.append(call)
                size += len(call.batch)
        return sorted(group, key=lambda call: call.last)


def _commit(
    store: JobStore, batches: Sequence[tuple[Op, ...]], now: float
) -> tuple[list[list[object] | Exception], list[JobChange]]:
    """Apply the batches as one. In the store's thread."""
    outcomes: list[list[object] | Exception] = []
    try:
        answers = iter(store.apply([op for batch in batches for op in batch], now))
        outcomes += ([next(answers) for _ in batch] for batch in batches)
    except Exception as error:
        # Only one batch has a fault (for example, a text that no database can hold).
        affects_all = isinstance(error, StoreUnavailable) and not isinstance(error, StoreFull)
        if affects_all or len(batches) == 1:
            raise
        outcomes += (_alone(store, batch, now) for batch in batches)
    return outcomes, store.take_changes()


def _alone(store: JobStore, batch: tuple[Op, ...], now: float) -> list[object] | Exception:
    try:
        return store.apply(batch, now)
    except Exception as error:
        return error
