"""Which replicas live, what each planner holds, and what is known of deployments without any."""

from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.registry import FORGET_AFTER, Registration, ReplicaRegistry
from tests.unit.jobs.engines import DESCRIPTION


def planner(replica: str, deployment: str, slots: int = 4) -> Registration:
    description = PlannerDescription(
        engine="mock", models=(deployment,), mock=True, deployment=deployment
    )
    return Registration(replica, deployment, description, slots)


def living(registry: ReplicaRegistry) -> list[str]:
    return [one.replica for one in registry.snapshot().live]


def test_slots_are_counted_by_planner() -> None:
    registry = ReplicaRegistry()
    for one in (planner("1", "a"), planner("2", "a"), planner("3", "b", slots=16)):
        registry.register(one, 0)
    registry.register(Registration("4", "Decoder", DESCRIPTION, 2), 0)
    capacity = registry.snapshot().capacity()
    assert capacity.planner_slots == {"a": 8, "b": 16}
    assert (capacity.planners, capacity.plan_slots) == (3, 24)
    assert (capacity.decoders, capacity.decode_slots) == (1, 2)


def test_the_slots_of_a_deployment_are_the_mean_of_its_live_replicas() -> None:
    """Not those of the replica that registered last: a new one has fewer."""
    registry = ReplicaRegistry()
    registry.register(Registration("1", "Decoder", DESCRIPTION, 8), 0)
    registry.register(Registration("2", "Decoder", DESCRIPTION, 2), 0)
    registry.register(planner("3", "a"), 0)
    assert registry.snapshot().slots == {"Decoder": 5, "a": 4}
    registry.forget_dead(["2"], since=1)
    assert registry.snapshot().slots == {"Decoder": 2, "a": 4}
    registry.forget_dead([], since=1)
    assert registry.snapshot().slots == {"Decoder": 2, "a": 4}


def test_a_deployment_without_replicas_is_still_known() -> None:
    registry = ReplicaRegistry()
    registry.register(planner("1", "a"), 0)
    registry.register(planner("2", "b"), 0)
    registry.forget_dead([], since=1)
    assert living(registry) == []
    assert [d.deployment for d in registry.snapshot().planners()] == ["a", "b"]
    registry.register(planner("3", "a"), 10)
    assert living(registry) == ["3"]
    registry.register(planner("3", "a", slots=0), 11)  # it deregisters
    assert living(registry) == []
    assert [d.deployment for d in registry.snapshot().planners()] == ["a", "b"]


def test_the_decoders_that_live_hide_those_that_are_gone() -> None:
    registry = ReplicaRegistry()
    gone = DESCRIPTION.model_copy(update={"model": "old"})
    registry.register(Registration("1", "Decoder", gone, 2), 0)
    registry.forget_dead([], since=1)
    assert [one.model for one in registry.snapshot().decoders()] == ["old"]
    registry.register(Registration("2", "Decoder", DESCRIPTION, 2), 2)
    known = DESCRIPTION.model_copy(update={"deployment": "Decoder"})
    assert registry.snapshot().decoders() == (known,)


def test_who_is_alive_and_slow_is_not_taken_for_dead() -> None:
    """On a busy machine, replicas were removed that had only registered late."""
    registry = ReplicaRegistry()
    registry.register(planner("1", "a"), 0)
    registry.register(planner("2", "a"), 0)
    registry.forget_dead(["1"], since=FORGET_AFTER - 1)
    registry.forget_silent(FORGET_AFTER - 1)
    assert living(registry) == ["1"]


def test_who_came_while_ray_was_asked_stays() -> None:
    registry = ReplicaRegistry()
    registry.register(planner("1", "a"), 5)
    registry.forget_dead([], since=5)
    assert living(registry) == ["1"]


def test_who_is_alive_and_silent_for_long_hangs() -> None:
    registry = ReplicaRegistry()
    registry.register(planner("1", "a"), 0)
    registry.register(planner("2", "a"), 0)
    registry.register(planner("2", "a"), 1)
    registry.forget_silent(FORGET_AFTER)
    assert living(registry) == ["2"]


def test_each_change_is_made_known_and_nothing_else() -> None:
    registry, changes = ReplicaRegistry(), []
    registry.on_change = lambda: changes.append(living(registry))
    registry.register(planner("1", "a"), 0)
    registry.register(planner("1", "a"), 1)  # again the same
    registry.forget_dead(["1", "2"], since=2)
    registry.forget_silent(2)
    registry.register(planner("2", "a", slots=0), 2)  # it deregisters, but was not registered
    assert changes == [["1"]]
    registry.register(planner("2", "a"), 2)
    registry.register(planner("2", "a", slots=8), 2)
    registry.register(planner("2", "a", slots=0), 3)
    registry.forget_dead([], since=4)
    assert changes[1:] == [["1", "2"], ["1", "2"], ["1"], []]


def test_a_deployment_serves_what_its_last_replicas_served() -> None:
    """After a redeployment with another model: the job store actor is still the same."""

    def lm(replica: str, model: str, slots: int = 4) -> Registration:
        description = PlannerDescription(engine="mock", models=(model,), mock=True)
        return Registration(replica, "Planner", description, slots)

    registry = ReplicaRegistry()
    registry.register(lm("1", "old"), 0)
    registry.register(lm("2", "new"), 1)
    registry.register(lm("1", "old", slots=0), 2)
    for _ in ("one replica lives", "none does"):
        assert [d.models for d in registry.snapshot().planners()] == [("new",)]
        registry.forget_dead([], since=3)
    gone = DESCRIPTION.model_copy(update={"model": "old"})
    for number, description in enumerate((gone, DESCRIPTION)):
        registry.register(Registration(f"{number}", "Decoder", description, 2), 4)
    registry.forget_dead([], since=5)
    assert [one.model for one in registry.snapshot().decoders()] == [DESCRIPTION.model]
