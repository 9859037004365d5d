"""Who lives, what each planner holds, and what is known of deployments that rest."""

from acestep_ray.jobs.roster import FORGET_AFTER, Announcement, Roster
from acestep_ray.planner.protocol import PlannerDescription
from tests.unit.jobs.engines import DESCRIPTION


def planner(replica: str, deployment: str, slots: int = 4) -> Announcement:
    description = PlannerDescription(
        engine="mock", models=(deployment,), mock=True, deployment=deployment
    )
    return Announcement(replica, deployment, description, slots)


def test_slots_are_told_by_planner() -> None:
    roster = Roster(0)
    for word in (planner("1", "a"), planner("2", "a"), planner("3", "b", slots=16)):
        roster.announce(word, 0)
    roster.announce(Announcement("4", "Decoder", DESCRIPTION, 2), 0)
    capacity = roster.view(1).capacity()
    assert capacity.planner_slots == {"a": 8, "b": 16}
    assert (capacity.planners, capacity.plan_slots) == (3, 24)
    assert (capacity.decoders, capacity.decode_slots) == (1, 2)


def test_a_deployment_without_replicas_is_still_known() -> None:
    roster = Roster(0)
    roster.announce(planner("1", "a"), 0)
    roster.announce(planner("2", "b"), 0)
    view = roster.view(FORGET_AFTER)
    assert view.live == ()
    assert [d.deployment for d in view.planners()] == ["a", "b"]
    roster.announce(planner("3", "a"), 10)
    assert [word.replica for word in roster.view(10).live] == ["3"]
    roster.announce(planner("3", "a", slots=0), 11)  # it leaves
    assert roster.view(11).live == ()
    assert [d.deployment for d in roster.view(11).planners()] == ["a", "b"]


def test_the_decoders_that_live_hide_those_that_are_gone() -> None:
    roster = Roster(0)
    gone = DESCRIPTION.model_copy(update={"model": "old"})
    roster.announce(Announcement("1", "Decoder", gone, 2), 0)
    assert roster.view(FORGET_AFTER).decoders() == (gone,)
    roster.announce(Announcement("2", "Decoder", DESCRIPTION, 2), FORGET_AFTER)
    assert roster.view(FORGET_AFTER).decoders() == (DESCRIPTION,)
