"""Contract: each operation returns the types that its class declares.

The type checker does not check these types (see answers.py), so this test checks them.
"""

from typing import get_args

from pydantic import TypeAdapter

from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.store import operations
from acestep_ray.jobs.store.operations import (
    AckGarbage,
    Backlog,
    Cancel,
    Delete,
    Deregister,
    Direct,
    ExtendLeases,
    Finish,
    Get,
    IsOwner,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    ListDeliveries,
    ListGarbage,
    ListJobs,
    Op,
    Operation,
    Purge,
    Release,
    SaveDelivery,
    SavePlan,
    Start,
    Stats,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.settings import Settings
from tests.unit.jobs.store.contract import StoreFactory, StoreHarness

OPERATIONS: tuple[Op, ...] = (
    KeepAlive("r", 1e6),
    Submit("a", "{}", needs_plan=True, webhook="{}", webhook_kinds=("submitted",)),
    LeaseDeliveries(10, 60.0, "1"),
    SaveDelivery("a-submitted-0", DeliveryState.PENDING, 1, 1e6, 500, "no"),
    ListDeliveries("a"),
    Get("a"),
    ListJobs(),
    Backlog(),
    Stats(),
    Lease("r", "1", plan_slots=1, decode_slots=1),
    IsOwner("a", 1),
    Start("a", 1),
    SavePlan("a", 1, "a plan"),
    Release("a", 1, lost=False),
    Lease("r", "2", plan_slots=1, decode_slots=1),
    Start("a", 2),
    ExtendLeases(60.0),
    Sweep(timeout=-1.0),  # ends it, so that there is a job in the result
    Submit("b", "{}", needs_plan=False),
    Lease("r", "3", plan_slots=1, decode_slots=1),
    Finish("b", 1, result="{}"),
    Submit("c", "{}", needs_plan=False),
    Cancel("c"),
    Delete("c"),
    ListGarbage(),
    AckGarbage(("c",)),
    Purge(keep=1e6, keep_expired=1e6, keep_idempotency=1e6),
    Deregister("r"),
)
"""Every operation at least once. In this order each one succeeds, and no list is empty."""


def check(answer: object, expected: type[object]) -> None:
    """Fail if a result does not have a type; the elements of a list are checked, too."""
    assert answer != []
    TypeAdapter(expected).validate_python(answer, strict=True)


def declared(op: Op) -> tuple[type[object], type[object]]:
    """What its class declares: what a store returns, and what the coordinator's callers get."""
    (base,) = vars(type(op))["__orig_bases__"]
    return get_args(base)[0], get_args(base)[-1]


def test_every_operation_is_checked_here() -> None:
    every = {
        one
        for one in vars(operations).values()
        if isinstance(one, type) and issubclass(one, Operation)
    }
    assert {type(op) for op in OPERATIONS} == every - {Operation, Direct}


def test_a_store_answers_with_the_declared_types(harness: StoreHarness) -> None:
    for op in OPERATIONS:
        (answer,) = harness.batch(op)
        check(answer, declared(op)[0])


async def test_callers_of_the_coordinator_get_the_declared_types(
    store_factory: StoreFactory,
) -> None:
    coordinator = JobCoordinator(store_factory, Settings())
    await coordinator.open()
    for op in OPERATIONS:
        (answer,) = await coordinator.apply([op])
        check(answer, declared(op)[1])
    await coordinator.close()
