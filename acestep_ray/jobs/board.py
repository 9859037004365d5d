"""What a desk shows the other desks on its store: nothing that must last, all that clients ask."""

import logging
from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError

from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity

logger = logging.getLogger(__name__)


class Board(BaseModel):
    """One desk's. ``planners``: names of those that its runners lease for, also without replicas;
    ``progress``: by job, (attempt, progress) of those that run."""

    model_config = ConfigDict(frozen=True)

    capacity: Capacity = Capacity()
    planners: frozenset[str] = frozenset()
    progress: dict[str, tuple[int, Progress]] = {}


def read_boards(texts: Iterable[str]) -> tuple[Board, ...]:
    """The boards that can be read; one by another release may have another form."""
    boards = []
    for text in texts:
        try:
            boards.append(Board.model_validate_json(text))
        except ValidationError as error:
            logger.warning("A desk of another release shows what cannot be read here: %s", error)
    return tuple(boards)


def together(capacities: Iterable[Capacity]) -> Capacity:
    """What several clusters can hold."""
    all_of_them = list(capacities)
    planner_slots: Counter[str] = Counter()
    for capacity in all_of_them:
        planner_slots.update(capacity.planner_slots)
    return Capacity(
        planners=sum(c.planners for c in all_of_them),
        decoders=sum(c.decoders for c in all_of_them),
        plan_slots=sum(c.plan_slots for c in all_of_them),
        decode_slots=sum(c.decode_slots for c in all_of_them),
        planner_slots=dict(planner_slots),
    )
