"""The application: the only place where deployments are bound together."""

from typing import Any

from ray import serve
from ray.serve import Application

from acestep_ray.planner.pairs import PlannerSpec, planners_of
from acestep_ray.scaling import Stage
from acestep_ray.settings import Settings
from deployments.autoscaling import POLICY
from deployments.decoder import Decoder
from deployments.door_guard import refuse_open_door
from deployments.ingress import Ingress
from deployments.names import DECODER, INGRESS, RUNNER
from deployments.node_guard import refuse_data_on_one_node
from deployments.placement import (
    cards_of_nodes,
    most_replicas,
    refuse_no_place_for_the_store,
)
from deployments.planner import Planner
from deployments.port_guard import refuse_shared_port
from deployments.routing import ROUTING
from deployments.runner import Runner

GRACE = 60.0
"""Seconds a stopping replica has beyond the longest job."""
UPSCALE_DELAY = 2.0
"""Seconds that more work must wait for before another replica is started; from zero, none."""


def build(args: Settings) -> Application:
    """The whole application from its settings (the ``args`` of a Serve config).

    Raises pydantic.ValidationError for an unknown or illegal setting, PortShared, DoorOpen,
    DataOnOneNode, SettingError and DoesNotFit. Options given in the config for a deployment beat
    those named here.
    """
    refuse_shared_port()
    settings = args
    refuse_open_door(settings)
    refuse_data_on_one_node(settings)
    refuse_no_place_for_the_store(settings)
    drain = settings.jobs.timeout + GRACE
    specs = planners_of(settings)
    most = most_replicas(settings, specs, cards_of_nodes())
    planners = {spec.name: _planner(spec, most[spec.name], drain) for spec in specs}
    decoder = serve.deployment(
        name=DECODER,
        # One on the device, one whose takes are encoded and stored meanwhile.
        max_ongoing_requests=2,
        autoscaling_config=_autoscaling(settings.scaling.decoder, most[DECODER], settings),
        ray_actor_options=_resources(settings.scaling.decoder),
        request_router_config=ROUTING,
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=2,
    )(Decoder).bind(settings)
    runner = serve.deployment(
        name=RUNNER,
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=1,
    )(Runner).bind(settings, planners, decoder)
    return serve.deployment(
        name=INGRESS,
        # Long polls hold a request each and cost nothing else.
        max_ongoing_requests=2000,
        graceful_shutdown_timeout_s=60,
        health_check_period_s=1,
    )(Ingress).bind(settings, runner)


def _planner(spec: PlannerSpec, most: int, drain: float) -> Application:
    """One language model on one backend, scaled by itself."""
    return serve.deployment(
        name=spec.name,
        max_ongoing_requests=spec.plans_at_once,
        autoscaling_config=_autoscaling(spec.pair, most, spec.settings),
        ray_actor_options=_resources(spec.pair),
        request_router_config=ROUTING,
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=2,
    )(Planner).bind(spec)


def _autoscaling(stage: Stage, most: int, settings: Settings) -> dict[str, Any]:
    scaling = settings.scaling
    return {
        "min_replicas": stage.min_replicas,
        "max_replicas": most,
        "upscale_delay_s": UPSCALE_DELAY,
        "downscale_delay_s": scaling.idle_seconds,
        "target_ongoing_requests": 1,  # not used by our policy; Serve warns if it seems too high
        "policy": {
            "policy_function": POLICY,
            "policy_kwargs": {"target_seconds": scaling.target_seconds},
        },
    }


def _resources(stage: Stage) -> dict[str, Any]:
    """Cards, where they are asked for. No CPUs: a replica that waits for one, on a machine that has
    fewer than replicas, would wait for ever."""
    return {"num_cpus": 0} | ({} if stage.num_gpus is None else {"num_gpus": stage.num_gpus})
