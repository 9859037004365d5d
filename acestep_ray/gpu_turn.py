"""Engines whose weights are on a GPU only while they work: for GPUs that have no room for all.

An engine that nobody needs gives its GPU back after a while, or as soon as another one waits for
it. Its weights then wait in the host's memory.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from acestep_ray.gpu_locks import FileLock, lock_files

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.1
"""Seconds between two looks at whether another engine waits, or the work has ended."""
TURN_SECONDS = 10.0
"""An engine that has work keeps the GPU for this time, although another waits: to move the weights
for each job would take longer than some jobs."""


class Movable(Protocol):
    """An engine whose weights can leave its device."""

    def arrive(self) -> None:
        """Move the weights to the device. Blocking, while no job runs."""
        ...

    def leave(self) -> None:
        """Move the weights, and all else that is kept on the device, off it. Blocking, while no
        job runs."""
        ...


class GpuTurn:
    """One engine's use of its GPUs. ``held`` is called by one thread at a time.

    ``gpus``: ids of the GPUs that engines of this machine take in turns; empty: no other engine
    needs them. ``unload_seconds``: without work for this time, the engine leaves its device; 0: it
    stays until another one waits. ``folder``: as of lock_files.
    """

    def __init__(
        self, gpus: Sequence[str], unload_seconds: float = 0.0, folder: Path | None = None
    ) -> None:
        self._turns = [FileLock(file) for file in lock_files(gpus, "turn", folder)]
        self._waits = [FileLock(file) for file in lock_files(gpus, "wait", folder)]
        self._unload_seconds = unload_seconds
        self._engine: Movable | None = None
        self._lock = threading.Lock()
        self._busy = False
        self._there = False
        self._gave = False  # whether the last turn ended because another engine waited
        self._since = self._idle_since = time.monotonic()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def there(self) -> bool:
        """Whether the engine is on its device."""
        return self._there

    @contextmanager
    def first(self) -> Iterator[None]:
        """Hold the GPUs while an engine loads its weights onto them. ``keep`` follows."""
        self._take(lambda: None)
        self._busy = self._there = True
        try:
            yield
        except BaseException:
            self._there = False
            self._release()
            raise
        finally:
            self._rest()

    def keep(self, engine: Movable) -> None:
        """From now on, move this engine, which is on its device."""
        self._engine = engine
        self._watcher = threading.Thread(target=self._watch, name="gpu-turn", daemon=True)
        self._watcher.start()

    @contextmanager
    def held(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """The engine is on its device until the block ends. ``waiting`` is called again and again
        while another engine has the GPUs; it may raise, which ends the wait."""
        assert self._engine is not None
        with self._lock:
            self._busy = True
        try:
            if self._there and self._turn_is_over():
                self._leave(gave=True)
            if not self._there:
                self._take(waiting)
                self._arrive()
            yield
        finally:
            self._rest()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """The engine is not moved until the block ends, wherever it is."""
        with self._lock:
            yield

    def close(self) -> None:
        """Move no more, and let others have the GPUs."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()
        for lock in (*self._turns, *self._waits):
            lock.close()

    def _rest(self) -> None:
        with self._lock:
            self._busy, self._idle_since = False, time.monotonic()

    def _arrive(self) -> None:
        assert self._engine is not None
        began = time.monotonic()
        try:
            self._engine.arrive()
        except BaseException:
            try:
                self._engine.leave()
            finally:
                self._release()
            raise
        self._there, self._since = True, time.monotonic()
        logger.info("The engine came to its device in %.2f s.", self._since - began)

    def _leave(self, *, gave: bool) -> None:
        assert self._engine is not None
        # If it fails, the next job moves everything back, and the others have their turn.
        self._there, self._gave = False, gave
        try:
            self._engine.leave()
        finally:
            self._release()
        logger.info("The engine left its device.")

    def _release(self) -> None:
        for lock in reversed(self._turns):
            lock.release()

    def _wanted(self) -> bool:
        """Whether another engine waits for one of the GPUs."""
        return not all(lock.free() for lock in self._waits)

    def _turn_is_over(self) -> bool:
        return time.monotonic() - self._since > TURN_SECONDS and self._wanted()

    def _take(self, waiting: Callable[[], None]) -> None:
        """Wait for the GPUs. After a turn that was given up for another engine, that one is
        first."""
        while self._gave and self._wanted() and all(lock.free() for lock in self._turns):
            waiting()
            time.sleep(LOOK_EVERY / 10)
        self._gave = False
        for wait in self._waits:
            wait.take(shared=True)
        taken: list[FileLock] = []
        try:
            for turn in self._turns:
                while not turn.try_to_take():
                    waiting()
                    time.sleep(LOOK_EVERY)
                taken.append(turn)
        except BaseException:
            for turn in taken:
                turn.release()
            raise
        finally:
            for wait in self._waits:
                wait.release()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_EVERY):
            with self._lock:
                if self._busy or not self._there:
                    continue
                idle = time.monotonic() - self._idle_since
                wanted = idle >= LOOK_EVERY and self._wanted()
                if wanted or (self._unload_seconds and idle >= self._unload_seconds):
                    self._move_off(gave=wanted)

    def _move_off(self, *, gave: bool) -> None:
        try:
            self._leave(gave=gave)
        except Exception:
            logger.exception("The engine could not leave its device")
