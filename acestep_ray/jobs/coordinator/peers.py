"""Polls the other stores on the same database, in a thread of its own."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, ValidationError

from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.protocol import Peers, PeerUpdate
from acestep_ray.replicas.capacity import Capacity
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

LISTEN_SECONDS = 0.5
"""Longest time that one exchange waits; the own state is shared at least once in this time."""
PAUSE_SECONDS = 0.5
"""Seconds that are waited after an exchange that failed."""


class PeerListener:
    """Exchanges with ``peers`` until it is closed, for one event loop.

    ``state`` is called before each exchange and returns what to share; ``update`` is called with
    the result.
    """

    def __init__(
        self, peers: Peers, state: Callable[[], str], update: Callable[[PeerUpdate], None]
    ) -> None:
        self._peers = peers
        self._state = state
        self._update = update
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="job-store-peers")
        self._task = start_task(self._listen(), name="job store peers")

    async def close(self) -> None:
        """Stop, and close the connection to the database."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._peers.close)
        self._thread.shutdown()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        unreachable = False
        while True:
            try:
                update = await loop.run_in_executor(
                    self._thread, self._peers.exchange, self._state(), LISTEN_SECONDS
                )
                self._update(update)
                unreachable = False
            except StoreUnavailable as error:
                if not unreachable:
                    logger.warning("The other job stores cannot be reached: %s", error)
                unreachable = True
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                logger.exception("Reading from the other job stores failed; trying again")
                await asyncio.sleep(PAUSE_SECONDS)


class PeerState(BaseModel):
    """What one coordinator shares with its peers.

    ``planners``, ``decoders``: those that its runners lease for, with or without replicas; only
    one decoder has no name here. ``progress``: attempt and progress of each running job, by job id.
    """

    model_config = ConfigDict(frozen=True)

    capacity: Capacity = Capacity()
    planners: frozenset[str] = frozenset()
    decoders: frozenset[str] = frozenset()
    progress: dict[str, tuple[int, Progress]] = {}


def read_peer_states(texts: Iterable[str]) -> tuple[PeerState, ...]:
    """The states that can be read; another release may use another format."""
    states = []
    for text in texts:
        try:
            states.append(PeerState.model_validate_json(text))
        except ValidationError as error:
            logger.warning(
                "The state that another release of the job store shares cannot be read: %s", error
            )
    return tuple(states)
