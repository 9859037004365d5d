"""When the service is ready: which deployments may have no replica, by what Serve reports."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from ray.serve._private.common import (
    DeploymentStatus,
    DeploymentStatusTrigger,
    ReplicaState,
)
from ray.serve.schema import DeploymentStatusOverview

from acestep_ray.replicas.decoders import DECODER, decoders_of
from acestep_ray.replicas.deployed import Deployed, merge
from acestep_ray.replicas.planners import planners_of
from acestep_ray.replicas.registry import Registration, RegistrySnapshot
from acestep_ray.settings import Settings
from deployments import serve_status
from deployments.serve_status import ServeStatus
from tests.unit.jobs.engines import DESCRIPTION

Reported = Mapping[str, DeploymentStatusOverview]
UNKNOWN = Deployed((), (), ready=False)


def reported(states: dict[ReplicaState, int], status: str = "HEALTHY") -> DeploymentStatusOverview:
    trigger = DeploymentStatusTrigger.UNSPECIFIED
    return DeploymentStatusOverview(DeploymentStatus(status), trigger, states, "")


def view(*live: Registration, latest: tuple[Registration, ...] = ()) -> RegistrySnapshot:
    return RegistrySnapshot(live, latest)


async def merged(
    seen: RegistrySnapshot, states: Reported, known: Deployed = UNKNOWN, **fields: Any
) -> Deployed:
    status = ServeStatus(lambda: states)
    await status.look()
    settings = Settings.model_validate(fields)
    return merge(known, seen, planners_of(settings), decoders_of(settings), status)


DECODING = Registration("1", DECODER, DESCRIPTION, 2)
PLANNING = Registration("2", "Planner", planners_of(Settings())[0].describe(), 4)


async def test_ready_when_each_stage_has_a_replica() -> None:
    deployed = await merged(view(DECODING, PLANNING), {})
    assert (deployed.ready, deployed.reasons) == (True, ())


async def test_a_replica_that_is_missing_is_named() -> None:
    starting = {ReplicaState.STARTING: 1}
    deployed = await merged(
        view(), {DECODER: reported(starting, "UPDATING"), "Planner": reported(starting, "UPDATING")}
    )
    assert deployed.reasons == ("No Planner replica is up yet.", "No decoder replica is up yet.")
    assert deployed.starting == {DECODER, "Planner"}


async def test_what_rests_by_serve_s_will_is_not_missed() -> None:
    """Whatever a replica of an earlier configuration reported last."""
    asleep = {DECODER: reported({}), "Planner": reported({})}
    deployed = await merged(view(latest=(DECODING, PLANNING)), asleep)
    assert deployed.ready
    assert [one.model for one in deployed.decoders] == [DESCRIPTION.model]
    # Also if the registry, too, was restarted meanwhile.
    assert (await merged(view(), asleep, known=deployed)).ready


@pytest.mark.parametrize(
    ("state", "status"),
    [("STARTING", "UPSCALING"), ("STOPPING", "DOWNSCALING"), ("STOPPING", "HEALTHY")],
)
async def test_what_goes_to_its_rest_or_rises_from_it_is_not_missed(
    state: str, status: str
) -> None:
    """A load balancer would remove the service just when work has come."""
    states = {DECODER: reported({ReplicaState(state): 1}, status)}
    assert (await merged(view(PLANNING, latest=(DECODING,)), states)).ready
    assert not (await merged(view(PLANNING), states)).ready


async def test_a_replica_that_serve_has_and_nobody_hears_is_missed() -> None:
    states = {DECODER: reported({ReplicaState.RUNNING: 1})}
    assert not (await merged(view(PLANNING, latest=(DECODING,)), states)).ready


async def test_a_decoder_that_nobody_has_heard_of_does_not_rest() -> None:
    """The service could not accept requests: only a decoder can report what it serves."""
    deployed = await merged(view(), {DECODER: reported({}), "Planner": reported({})})
    assert deployed.reasons == ("No decoder replica is up yet.",)


@pytest.mark.parametrize("status", ["UNHEALTHY", "UPDATING", "DEPLOY_FAILED"])
async def test_what_cannot_start_does_not_rest(status: str) -> None:
    deployed = await merged(view(PLANNING, latest=(DECODING,)), {DECODER: reported({}, status)})
    assert not deployed.ready


async def test_a_planner_that_may_rest_is_never_missed() -> None:
    scaling = {"planner": {"min_replicas": 0}}
    assert (await merged(view(DECODING), {}, scaling=scaling)).ready


async def test_a_controller_that_does_not_answer_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the head is away: waiting threads do not pile up, and no other caller waits."""
    monkeypatch.setattr(serve_status, "PATIENCE", 0.05)
    answer, asked = threading.Event(), []

    def ask() -> Reported:
        asked.append(1)
        answer.wait()
        return {DECODER: reported({})}

    status = ServeStatus(ask)
    for _ in range(3):
        await status.look()
    assert (len(asked), status.idle()) == (1, frozenset())
    answer.set()
    async with asyncio.timeout(60):
        while not status.idle():
            await status.look()
    assert len(asked) == 1


async def test_a_controller_that_fails_leaves_what_was_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[Reported] = [{DECODER: reported({})}]
    status = ServeStatus(answers.pop)
    await status.look()
    await status.look()
    assert status.idle() == {DECODER}
    assert "does not report what is deployed" in caplog.text


# Several decoders

BOTH: dict[str, Any] = {
    "decoders": [
        {"model": "turbo", "backend": "mock"},
        {"model": "base", "backend": "mock", "min_replicas": 0},
    ]
}
TURBO = Registration("3", "Decoder-turbo", DESCRIPTION, 2)
BASE = Registration("4", "Decoder-base", DESCRIPTION.model_copy(update={"model": "base"}), 2)


async def test_of_several_decoders_those_that_may_rest_are_not_missed() -> None:
    deployed = await merged(view(PLANNING, TURBO), {}, **BOTH)
    assert (deployed.ready, deployed.unknown) == (True, ("base",))
    deployed = await merged(view(PLANNING, BASE), {}, **BOTH)
    assert deployed.reasons == ("No Decoder-turbo replica is up yet.",)
    deployed = await merged(view(PLANNING), {}, **BOTH)
    assert len(deployed.reasons) == 2  # nothing is known: no request could be checked


async def test_several_decoders_are_in_the_order_of_the_settings() -> None:
    asleep = {"Decoder-base": reported({})}
    deployed = await merged(view(PLANNING, TURBO, latest=(BASE, DECODING)), asleep, **BOTH)
    assert [one.deployment for one in deployed.decoders] == ["Decoder-turbo", "Decoder-base"]
    assert [deployed.state(one) for one in deployed.decoders] == ["ready", "idle"]
    assert deployed.unknown == ()
    # The one that rests is known also after the registry was restarted.
    again = await merged(view(PLANNING, TURBO), asleep, known=deployed, **BOTH)
    assert [one.deployment for one in again.decoders] == ["Decoder-turbo", "Decoder-base"]
