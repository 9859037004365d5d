"""Who lives, what each planner holds, and what is known of deployments that rest."""

import asyncio

from acestep_ray.jobs.roster import FORGET_AFTER, Announcement, Roster
from acestep_ray.planner.protocol import PlannerDescription
from tests.unit.jobs.engines import DESCRIPTION


def planner(replica: str, deployment: str, slots: int = 4) -> Announcement:
    description = PlannerDescription(
        engine="mock", models=(deployment,), mock=True, deployment=deployment
    )
    return Announcement(replica, deployment, description, slots)


def living(roster: Roster) -> list[str]:
    return [word.replica for word in roster.view().live]


def test_slots_are_told_by_planner() -> None:
    roster = Roster()
    for word in (planner("1", "a"), planner("2", "a"), planner("3", "b", slots=16)):
        roster.announce(word, 0)
    roster.announce(Announcement("4", "Decoder", DESCRIPTION, 2), 0)
    capacity = roster.view().capacity()
    assert capacity.planner_slots == {"a": 8, "b": 16}
    assert (capacity.planners, capacity.plan_slots) == (3, 24)
    assert (capacity.decoders, capacity.decode_slots) == (1, 2)


def test_a_deployment_without_replicas_is_still_known() -> None:
    roster = Roster()
    roster.announce(planner("1", "a"), 0)
    roster.announce(planner("2", "b"), 0)
    roster.forget_dead([], since=1)
    assert living(roster) == []
    assert [d.deployment for d in roster.view().planners()] == ["a", "b"]
    roster.announce(planner("3", "a"), 10)
    assert living(roster) == ["3"]
    roster.announce(planner("3", "a", slots=0), 11)  # it leaves
    assert living(roster) == []
    assert [d.deployment for d in roster.view().planners()] == ["a", "b"]


def test_the_decoders_that_live_hide_those_that_are_gone() -> None:
    roster = Roster()
    gone = DESCRIPTION.model_copy(update={"model": "old"})
    roster.announce(Announcement("1", "Decoder", gone, 2), 0)
    roster.forget_dead([], since=1)
    assert roster.view().decoders() == (gone,)
    roster.announce(Announcement("2", "Decoder", DESCRIPTION, 2), 2)
    assert roster.view().decoders() == (DESCRIPTION,)


def test_who_is_alive_and_slow_is_not_taken_for_dead() -> None:
    """On a busy machine replicas were forgotten that had just not come to speak."""
    roster = Roster()
    roster.announce(planner("1", "a"), 0)
    roster.announce(planner("2", "a"), 0)
    roster.forget_dead(["1"], since=FORGET_AFTER - 1)
    roster.forget_silent(FORGET_AFTER - 1)
    assert living(roster) == ["1"]


def test_who_came_while_ray_was_asked_stays() -> None:
    roster = Roster()
    roster.announce(planner("1", "a"), 5)
    roster.forget_dead([], since=5)
    assert living(roster) == ["1"]


def test_who_is_alive_and_silent_for_long_hangs() -> None:
    roster = Roster()
    roster.announce(planner("1", "a"), 0)
    roster.announce(planner("2", "a"), 0)
    roster.announce(planner("2", "a"), 1)
    roster.forget_silent(FORGET_AFTER)
    assert living(roster) == ["2"]


async def test_a_reader_is_told_of_each_change_and_of_nothing_else() -> None:
    roster = Roster()
    roster.announce(planner("1", "a"), 0)
    seen = await roster.changed(None, 60)
    assert [word.replica for word in seen.live] == ["1"]

    async def told() -> list[str]:
        nonlocal seen
        waiting = asyncio.create_task(roster.changed(seen.version, 60))
        for _ in range(5):
            await asyncio.sleep(0)
        roster.announce(planner("1", "a"), 1)  # again the same
        roster.forget_dead(["1", "2"], since=2)
        roster.forget_silent(2)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        roster.announce(planner("2", "a"), 1)
        seen = await waiting
        return [word.replica for word in seen.live]

    assert await told() == ["1", "2"]
    roster.announce(planner("2", "a", slots=0), 2)
    seen = await roster.changed(seen.version, 60)
    assert [word.replica for word in seen.live] == ["1"]
    roster.forget_dead([], since=3)
    assert (await roster.changed(seen.version, 60)).live == ()


async def test_a_reader_of_another_roster_is_answered_at_once() -> None:
    """The job store actor was restarted: what was seen before says nothing."""
    old, new = Roster(), Roster()
    assert (await new.changed(old.view().version, 60)).version == new.view().version
