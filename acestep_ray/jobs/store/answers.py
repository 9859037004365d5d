"""The only place where an answer out of a batch gets its type back.

Operations of different kinds and of different callers are applied as one batch, and sent to the
actor as one list. A list has one type for all its elements, so what a batch returns is ``object``:
at each place the answer of that operation, or its StoreError. The type checker cannot know which
answer is whose. The contract suite checks of every operation, for every store and for the
coordinator, that its answer has the type that its class declares.
"""

from typing import TypeVar, cast

from acestep_ray.jobs.store.errors import StoreError
from acestep_ray.jobs.store.operations import Operation

Stored = TypeVar("Stored")
Answer = TypeVar("Answer")


def stored(op: Operation[Stored, object], answer: object) -> Stored:
    """What a store returned for ``op`` (JobStore.apply). Raises it if it is a StoreError."""
    return cast("Stored", _raised(answer))


def answered(op: Operation[object, Answer], answer: object) -> Answer:
    """What the coordinator returned for ``op`` (JobCoordinator.apply). Raises it if it is a
    StoreError."""
    return cast("Answer", _raised(answer))


def _raised(answer: object) -> object:
    if isinstance(answer, StoreError):
        raise answer
    return answer
