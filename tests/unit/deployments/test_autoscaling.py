"""The policy in Serve's controller: it asks and never waits, and notices when it has no data."""

from concurrent.futures import Future
from typing import Any

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from acestep_ray.replicas.autoscaling import AutoscalingLoad
from acestep_ray.replicas.decoders import DECODER
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from deployments import autoscaling
from deployments.app import build
from deployments.autoscaling import ASK_EVERY, FORGET_AFTER, POLICY, FollowDemand


class Store:
    """A job store actor as the policy calls it: questions that are answered later, or never."""

    def __init__(self) -> None:
        self.questions: list[Future[AutoscalingLoad]] = []
        self.load = self

    def remote(self) -> "Store":
        return self

    def future(self) -> Future[AutoscalingLoad]:
        self.questions.append(Future())
        return self.questions[-1]


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(autoscaling, "_newest_store", lambda: store)
    return store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(autoscaling, "time", clock)
    return clock


def context(deployment: str, target: int, queued: float = 0.0) -> AutoscalingContext:
    fields: dict[str, Any] = dict.fromkeys(AutoscalingContext.__init__.__annotations__)
    fields.pop("return", None)
    fields |= {"deployment_id": DeploymentID(deployment, "acestep"), "deployment_name": deployment}
    fields |= {"target_num_replicas": target, "total_queued_requests": queued}
    return AutoscalingContext(**fields)


def test_replicas_stay_as_they_are_until_the_store_has_answered(store: Store, clock: Clock) -> None:
    policy = FollowDemand()
    assert policy(context(DECODER, 3)) == (3, {})
    assert policy(context(DECODER, 3)) == (3, {})
    (question,) = store.questions
    question.set_result(AutoscalingLoad(decode_seconds=601.0, slots={DECODER: 2}))
    assert policy(context(DECODER, 3)) == (11, {})


def test_each_deployment_reads_its_own_demand(store: Store, clock: Clock) -> None:
    load = AutoscalingLoad(
        plans={"Planner": 9}, decode_seconds=100.0, slots={"Planner": 4, DECODER: 2}
    )
    decoder, planner = FollowDemand(target_seconds=10.0), FollowDemand()
    for policy, name in ((decoder, DECODER), (planner, "Planner")):
        policy(context(name, 1))
        store.questions[-1].set_result(load)
    assert decoder(context(DECODER, 1)) == (10, {})
    assert planner(context("Planner", 1)) == (3, {})


def test_a_call_that_waits_at_its_handle_starts_a_planner(store: Store, clock: Clock) -> None:
    """It is not in the store. Serve reports an average."""
    policy = FollowDemand()
    policy(context("Planner", 0))
    store.questions[0].set_result(AutoscalingLoad(slots={"Planner": 4, DECODER: 2}))
    assert policy(context("Planner", 0, queued=0.2)) == (1, {})
    assert policy(context("Planner", 0)) == (0, {})
    assert policy(context(DECODER, 0, queued=9)) == (0, {})  # its jobs are in the store


def test_it_asks_once_a_second_and_one_question_at_a_time(store: Store, clock: Clock) -> None:
    policy = FollowDemand()
    for _ in range(50):  # five seconds without an answer
        policy(context(DECODER, 1))
        clock.now += 0.1
    assert len(store.questions) == 1
    store.questions[0].set_result(AutoscalingLoad(slots={DECODER: 2}))
    for _ in range(50):
        policy(context(DECODER, 1))
        clock.now += 0.1
        if not store.questions[-1].done():
            store.questions[-1].set_result(AutoscalingLoad(slots={DECODER: 2}))
    assert 4 <= len(store.questions) - 1 <= 5 / ASK_EVERY + 1


def test_an_old_answer_stops_nobody(store: Store, clock: Clock) -> None:
    """A store that is away for long must not end the decoders for which jobs wait in it."""
    policy = FollowDemand()
    policy(context(DECODER, 4))
    store.questions[0].set_result(AutoscalingLoad(slots={DECODER: 2}))
    assert policy(context(DECODER, 4)) == (0, {})
    clock.now += FORGET_AFTER + 1
    assert policy(context(DECODER, 4)) == (4, {})


@pytest.mark.parametrize("fault", [RuntimeError("The actor died."), None])
def test_a_question_that_fails_or_is_lost_is_asked_again(
    store: Store, clock: Clock, fault: Exception | None
) -> None:
    policy = FollowDemand()
    policy(context(DECODER, 1))
    if fault is not None:
        store.questions[0].set_exception(fault)
    clock.now += FORGET_AFTER + 1
    assert policy(context(DECODER, 1)) == (1, {})
    store.questions[1].set_result(AutoscalingLoad(decode_seconds=61.0, slots={DECODER: 2}))
    assert policy(context(DECODER, 1)) == (2, {})


def test_without_a_store_replicas_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaling, "store_actors", dict)
    assert FollowDemand()(context(DECODER, 2)) == (2, {})


def test_a_target_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="target_seconds"):
        FollowDemand(target_seconds=0)


def test_serve_finds_it_by_its_name() -> None:
    policy = AutoscalingConfig.model_validate(
        {"policy": {"policy_function": POLICY, "policy_kwargs": {"target_seconds": 5}}}
    ).policy
    made: Any = policy.get_policy()
    assert made(**policy.policy_kwargs)._target_seconds == 5


def test_the_builder_scales_by_the_settings() -> None:
    scaling = {
        "decoder": {"min_replicas": 0, "max_replicas": 9, "num_gpus": 0.5},
        "planner": {"max_replicas": 2},
        "target_seconds": 30,
        "idle_seconds": 11,
    }
    app: Any = build(Settings.model_validate({"scaling": scaling, "api_key": "key"}))
    runner = app._bound_deployment.init_args[1]
    planners, decoders = runner._bound_deployment.init_args[1:]
    decoder = decoders[DECODER]
    config = decoder._bound_deployment._deployment_config.autoscaling_config
    assert (config.min_replicas, config.max_replicas, config.downscale_delay_s) == (0, 9, 11)
    assert config.policy.policy_kwargs == {"target_seconds": 30}
    assert decoder._bound_deployment.ray_actor_options["num_gpus"] == 0.5
    config = planners["Planner"]._bound_deployment._deployment_config.autoscaling_config
    assert (config.min_replicas, config.max_replicas) == (1, 2)
    assert "num_gpus" not in planners["Planner"]._bound_deployment.ray_actor_options


def test_a_planner_has_room_for_calls_beside_its_jobs() -> None:
    settings = Settings.model_validate({"limits": {"direct_calls": 3}, "api_key": "key"})
    app: Any = build(settings)
    planners = app._bound_deployment.init_args[2]
    config = planners["Planner"]._bound_deployment._deployment_config
    assert config.max_ongoing_requests == planners_of(settings)[0].plans_at_once + 3
