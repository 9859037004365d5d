"""The application: the only place at which deployments are bound together."""

from typing import Any

from ray import serve
from ray.serve import Application

from acestep_ray.decoder.jobs_in_hand import MOST
from acestep_ray.replicas.decoders import DecoderSpec, decoders_of
from acestep_ray.replicas.placement import most_replicas
from acestep_ray.replicas.planners import PlannerSpec, planners_of
from acestep_ray.settings import Settings
from acestep_ray.settings.scaling import Stage
from deployments.autoscaling import POLICY
from deployments.decoder import Decoder
from deployments.ingress import Ingress
from deployments.names import INGRESS, RUNNER
from deployments.planner import Planner
from deployments.port_conflict import refuse_shared_port
from deployments.routing import ROUTING
from deployments.runner import Runner
from deployments.startup_checks import (
    gpus_of_nodes,
    refuse_data_on_one_node,
    refuse_missing_store_resource,
    refuse_public_without_key,
)

DRAIN_MARGIN = 60.0
"""Seconds that a stopping replica has in addition to the longest job."""
MOST_OF_MOCK = 2
"""Jobs that a decoder with the mock engine has at a time."""
UPSCALE_DELAY = 2.0
"""Seconds that more work must last before another replica is started; 0 for the first one."""


def build(args: Settings) -> Application:
    """The whole application from its settings (the ``args`` of a Serve config).

    Raises pydantic.ValidationError for an unknown or illegal setting, and ConfigurationError.
    Options of a deployment in the config override those given here.
    """
    refuse_shared_port()
    settings = args
    refuse_public_without_key(settings)
    refuse_data_on_one_node(settings)
    refuse_missing_store_resource(settings)
    drain = settings.jobs.timeout + DRAIN_MARGIN
    most = most_replicas(settings, gpus_of_nodes())
    planners = {spec.name: _planner(spec, most[spec.name], drain) for spec in planners_of(settings)}
    decoders = {spec.name: _decoder(spec, most[spec.name], drain) for spec in decoders_of(settings)}
    runner = serve.deployment(
        name=RUNNER,
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=1,
    )(Runner).bind(settings, planners, decoders)
    return serve.deployment(
        name=INGRESS,
        # Each long poll holds one request, and costs nothing else.
        max_ongoing_requests=2000,
        graceful_shutdown_timeout_s=60,
        health_check_period_s=1,
    )(Ingress).bind(settings, runner, planners)


def _planner(spec: PlannerSpec, most: int, drain: float) -> Application:
    """One language model on one backend, scaled separately."""
    # Beside its plans, a replica has room for direct calls: they need not wait until no job does,
    # and the engine takes both in the order in which they come.
    requests = spec.plans_at_once + spec.settings.limits.direct_calls
    options = _engine_options(spec.pair, spec.settings, most, requests, drain)
    return serve.deployment(name=spec.name, **options)(Planner).bind(spec)


def _decoder(spec: DecoderSpec, most: int, drain: float) -> Application:
    """One decoder model, scaled separately."""
    # At most: a replica gets as many as keep its device at work. The mock engine needs the same
    # cores as its encoders: more jobs would only wait.
    requests = MOST_OF_MOCK if spec.settings.decoder == "mock" else MOST
    options = _engine_options(spec.stage, spec.settings, most, requests, drain)
    return serve.deployment(name=spec.name, **options)(Decoder).bind(spec)


def _engine_options(
    stage: Stage, settings: Settings, most: int, requests: int, drain: float
) -> dict[str, Any]:
    """Options that all engines' deployments have. ``most``: replicas; ``requests``: that a replica
    is given at a time."""
    return {
        "max_ongoing_requests": requests,
        "autoscaling_config": _autoscaling(stage, most, settings),
        "ray_actor_options": _resources(stage),
        "request_router_config": ROUTING,
        "graceful_shutdown_timeout_s": drain,
        "health_check_period_s": 2,
    }


def _autoscaling(stage: Stage, most: int, settings: Settings) -> dict[str, Any]:
    scaling = settings.scaling
    return {
        "min_replicas": stage.min_replicas,
        "max_replicas": most,
        "upscale_delay_s": UPSCALE_DELAY,
        "downscale_delay_s": scaling.idle_seconds,
        "target_ongoing_requests": 1,  # not used by this policy; Serve warns if it seems too high
        "policy": {
            "policy_function": POLICY,
            "policy_kwargs": {"target_seconds": scaling.target_seconds},
        },
    }


def _resources(stage: Stage) -> dict[str, Any]:
    """GPUs, if any are requested. No CPUs: on a machine with fewer CPUs than replicas, some
    replicas would wait for ever."""
    return {"num_cpus": 0} | ({} if stage.num_gpus is None else {"num_gpus": stage.num_gpus})
