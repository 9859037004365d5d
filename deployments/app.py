"""The application: the only place where deployments are bound together."""

from ray import serve
from ray.serve import Application

from acestep_ray.settings import Settings
from deployments.decoder import Decoder
from deployments.door_guard import refuse_open_door
from deployments.ingress import Ingress
from deployments.names import DECODER, INGRESS, PLANNER, RUNNER
from deployments.planner import Planner
from deployments.port_guard import refuse_shared_port
from deployments.runner import Runner

GRACE = 60.0
"""Seconds a stopping replica has beyond the longest job."""


def build(args: Settings) -> Application:
    """The whole application from its settings (the ``args`` of a Serve config).

    Raises pydantic.ValidationError for an unknown or illegal setting, PortShared and DoorOpen.
    Options given in the config for a deployment beat those named here.
    """
    refuse_shared_port()
    settings = args
    refuse_open_door(settings)
    drain = settings.jobs.timeout + GRACE
    planner = serve.deployment(
        name=PLANNER,
        max_ongoing_requests=4,
        autoscaling_config={"min_replicas": 1, "max_replicas": 1, "target_ongoing_requests": 2},
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=2,
    )(Planner).bind(settings)
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
    )(Runner).bind(settings, planner, decoder)
    return serve.deployment(
        name=INGRESS,
        # Long polls hold a request each and cost nothing else.
        max_ongoing_requests=2000,
        graceful_shutdown_timeout_s=60,
        health_check_period_s=1,
    )(Ingress).bind(settings, runner)
