"""Which replicas are offered to Serve for a job, and in which order."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.serve._private.request_router.common import RequestRoutingContext

from deployments.routing import FULL_ASKED, IdleFirst


@dataclass(frozen=True)
class Replica:
    replica_id: str
    max_ongoing_requests: int = 2


@dataclass
class Request:
    routing_context: RequestRoutingContext = field(default_factory=RequestRoutingContext)


class Router(IdleFirst):
    """With counts that a test gives."""

    def __init__(self, counts: dict[str, int | None]) -> None:
        self._counts = counts

    @property
    def replica_queue_len_cache(self) -> Any:
        return self._counts


async def groups(counts: dict[str, int | None], request: Any = None) -> list[set[str]]:
    offered = await Router(counts).choose_replicas([Replica(name) for name in counts], request)  # type: ignore[misc]
    return [{str(replica.replica_id) for replica in group} for group in offered]


async def test_the_idle_come_first_then_the_unknown_then_those_with_room() -> None:
    counts = {"full": 2, "busy": 1, "unheard": None, "idle": 0, "idle too": 0, "over": 3}
    assert await groups(counts) == [{"idle", "idle too"}, {"unheard"}, {"busy"}]


@pytest.mark.parametrize("replicas", [1, 2, 40])
async def test_where_all_are_full_a_few_are_asked(replicas: int) -> None:
    (asked,) = await groups({f"{number}": 2 for number in range(replicas)})
    assert len(asked) == min(FULL_ASKED, replicas)


async def test_equals_are_taken_by_turns() -> None:
    """Serve takes the first of equals; in one order, the first of them would get all jobs."""
    counts: dict[str, int | None] = {f"{number}": 0 for number in range(5)}
    router = Router(counts)
    replicas: Any = [Replica(name) for name in counts]
    firsts = {(await router.choose_replicas(replicas))[0][0].replica_id for _ in range(200)}
    assert len(firsts) == len(counts)


async def test_a_pause_is_made_between_two_tries() -> None:
    """Without it a job that waits for a place takes a whole core."""
    request = Request()
    await groups({"full": 2}, request)
    assert request.routing_context.should_backoff
