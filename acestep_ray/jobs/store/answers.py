"""The only place where an answer from a batch gets its type back.

Operations of different kinds and of different callers are applied as one batch, and sent to the
actor as one list. A list has one type for all its elements, so the elements that a batch returns
have the type ``object``: each is the answer of the operation at the same place, or its StoreError.
The type checker cannot find out which answer belongs to which operation. The contract suite checks
for every operation, for every store and for the coordinator, that the answer has the type that the
operation's class declares.
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
