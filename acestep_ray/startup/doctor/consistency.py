"""Settings that are legal one by one, and wrong together."""

from collections.abc import Iterator

from acestep_ray.startup.doctor.result import Result, warning
from acestep_ray.startup.serve_config import ServeConfig

DRAINED = ("Runner", "Decoder", "Planner")
"""Deployments that finish their jobs before they stop."""


def inconsistencies(config: ServeConfig) -> Iterator[Result]:
    """What one setting demands of another."""
    settings = config.settings
    for deployment in config.application.get("deployments") or []:
        drain = deployment.get("graceful_shutdown_timeout_s")
        if (
            drain is not None
            and str(deployment.get("name")).startswith(DRAINED)
            and drain < settings.jobs.timeout
        ):
            yield warning(
                f"the config gives {deployment['name']} {drain:g} s to end its jobs when it is "
                f"replaced, and a job may take ACESTEP_JOBS__TIMEOUT={settings.jobs.timeout:g} s: "
                "raise its graceful_shutdown_timeout_s, or leave it out."
            )
    limit, starts = settings.restarts.limit, settings.jobs.max_starts
    if 0 < limit <= starts:
        yield warning(
            f"a job that kills the whole service is given up after {starts} starts, but the "
            f"service itself after {limit} restarts: set ACESTEP_RESTARTS__LIMIT above "
            "ACESTEP_JOBS__MAX_STARTS."
        )
    usual, longest = settings.defaults.duration, settings.limits.duration
    if usual > longest:
        yield warning(
            f"takes are {usual:g} s long if a request gives no length, and may be {longest:g} s: "
            "set ACESTEP_DEFAULTS__DURATION to less than ACESTEP_LIMITS__DURATION."
        )
