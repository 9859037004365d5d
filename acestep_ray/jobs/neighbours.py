"""Listens to the other stores on the same database, in a thread of its own."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from acestep_ray.jobs.store.protocol import Heard, Peers, StoreUnavailable
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

LISTEN_SECONDS = 0.5
"""Longest that one exchange waits: so often the own board is shown anew."""
PAUSE_SECONDS = 0.5
"""After an exchange that failed."""


class Neighbours:
    """Exchanges with ``peers`` until it is closed, for one event loop.

    ``board`` is asked before each exchange, ``heard`` is told what came of it.
    """

    def __init__(
        self, peers: Peers, board: Callable[[], str], heard: Callable[[Heard], None]
    ) -> None:
        self._peers = peers
        self._board = board
        self._heard = heard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="job-store-peers")
        self._task = start_task(self._listen(), name="job desk neighbours")

    async def close(self) -> None:
        """Hear no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._peers.close)
        self._thread.shutdown()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        away = False
        while True:
            try:
                heard = await loop.run_in_executor(
                    self._thread, self._peers.exchange, self._board(), LISTEN_SECONDS
                )
                self._heard(heard)
                away = False
            except StoreUnavailable as error:
                if not away:
                    logger.warning("The other job stores are not heard: %s", error)
                away = True
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                logger.exception("Listening to the other job stores failed; it goes on")
                await asyncio.sleep(PAUSE_SECONDS)
