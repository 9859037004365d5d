"""What the coordinator does by itself: it takes back lost jobs and lets ended jobs expire."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from acestep_ray.jobs.store.answers import stored
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import ExtendLeases, Op, Purge, Sweep
from acestep_ray.settings import Jobs
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)


class Maintenance:
    """Sweeps three times per lease, and purges, from ``start`` until ``stop``.

    ``apply`` applies store operations. ``clock`` returns epoch seconds; leases are measured by it.
    ``swept`` is called after each sweep.
    """

    def __init__(
        self,
        settings: Jobs,
        apply: Callable[[Sequence[Op]], Awaitable[list[object]]],
        clock: Callable[[], float],
        swept: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._apply = apply
        self._clock = clock
        self._swept = swept
        self._task: asyncio.Task[None] | None = None
        self._purge_at = time.monotonic()
        self._swept_at = self._extended_at = self._times()

    async def start(self) -> None:
        """Start it. The leases of runners that lived when the store was last open are extended
        first, so that they have time to renew them.

        They are not extended if another coordinator has just swept the same store, as each does
        three times per lease. Raises StoreUnavailable.
        """
        lease = self._settings.lease_seconds
        await self._apply([ExtendLeases(lease, since=self._clock() - lease / 2)])
        self._swept_at = self._extended_at = self._times()
        self._task = start_task(self._run(), name="job store maintenance")

    async def stop(self) -> None:
        """Stop it, and wait for its end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def check(self) -> None:
        """Raise RuntimeError if maintenance has ended, which it never does by itself. Without it,
        lost jobs would not be taken back."""
        task = self._task
        if task is not None and task.done():
            cause = None if task.cancelled() else task.exception()
            raise RuntimeError("The job store's maintenance has ended.") from cause

    async def _run(self) -> None:
        """Sweep and purge for ever. A failure is logged, and the next round tries again."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            try:
                await self._sweep()
                await self._purge()
            except StoreUnavailable as error:
                logger.warning("Job maintenance is postponed: %s", error)
            except Exception:
                logger.exception("Job maintenance failed; trying again")

    async def _sweep(self) -> None:
        """Take back the jobs of runners that are gone.

        If a sweep is late, the store was unavailable (a locked database, a stopped process) and
        runners could not renew their leases. So they get the time of one more lease. This is not
        done at every late sweep: on a machine on which sweeps are always late, the leases of dead
        runners must still end.
        """
        lease = self._settings.lease_seconds
        times = self._times()
        unavailable = _elapsed(self._swept_at, times)
        # The runner of an overdue job may have died meanwhile; then its lease must end first.
        settled = _elapsed(self._extended_at, times) > lease
        timeout = self._settings.timeout if settled else float("inf")
        if unavailable > lease * 2 / 3 and _elapsed(self._extended_at, times) > lease * 2:
            # If another coordinator has swept meanwhile, the store was available: no extension.
            extend = ExtendLeases(lease, since=self._swept_at[0] + lease / 3)
            await self._apply([extend, Sweep(self._settings.max_starts, float("inf"))])
            logger.warning(
                "The job store was unavailable for %.1f s; leases are extended", unavailable
            )
            self._extended_at = times
        else:
            await self._apply([Sweep(self._settings.max_starts, timeout)])
        self._swept_at = times
        await self._swept()

    def _times(self) -> tuple[float, float]:
        """Now by the wall clock, which leases are measured by, and by the monotonic clock."""
        return self._clock(), time.monotonic()

    async def _purge(self) -> None:
        if time.monotonic() < self._purge_at:
            return
        settings = self._settings
        purge = Purge(settings.keep, settings.keep_expired, settings.keep_idempotency)
        while stored(purge, (await self._apply([purge]))[0]) == purge.limit:
            logger.info("%d ended jobs have expired; there are more", purge.limit)
        self._purge_at = time.monotonic() + settings.purge_every


def _elapsed(then: tuple[float, float], now: tuple[float, float]) -> float:
    """Seconds by the clock that shows more: the wall clock may be set, and the monotonic clock
    stops while the machine sleeps."""
    return max(now[0] - then[0], now[1] - then[1])
