"""The application: the only place where deployments are bound together."""

from ray import serve
from ray.serve import Application

from acestep_ray.planner.pairs import PlannerSpec, planners_of
from acestep_ray.settings import Settings
from deployments.decoder import Decoder
from deployments.ingress import Ingress
from deployments.names import DECODER, INGRESS, RUNNER
from deployments.planner import Planner
from deployments.port_guard import refuse_shared_port
from deployments.runner import Runner

GRACE = 60.0
"""Seconds a stopping replica has beyond the longest job."""


def build(args: Settings) -> Application:
    """The whole application from its settings (the ``args`` of a Serve config).

    Raises pydantic.ValidationError for an unknown or illegal setting, and PortShared. Options
    given in the config for a deployment beat those named here.
    """
    refuse_shared_port()
    settings = args
    drain = settings.jobs.timeout + GRACE
    planners = {spec.name: _planner(spec, drain) for spec in planners_of(settings)}
    decoder = serve.deployment(
        name=DECODER,
        # One on the device, one whose takes are encoded and stored meanwhile.
        max_ongoing_requests=2,
        autoscaling_config={"min_replicas": 1, "max_replicas": 1, "target_ongoing_requests": 1},
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


def _planner(spec: PlannerSpec, drain: float) -> Application:
    """One language model on one backend, scaled by itself."""
    pair = spec.pair
    return serve.deployment(
        name=spec.name,
        max_ongoing_requests=4,
        autoscaling_config={
            "min_replicas": pair.min_replicas,
            "max_replicas": pair.max_replicas,
            "target_ongoing_requests": 2,
        },
        ray_actor_options={
            "num_cpus": 0 if pair.backend == "mock" else 1,
            **({} if pair.num_gpus is None else {"num_gpus": pair.num_gpus}),
        },
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=2,
    )(Planner).bind(spec)
