"""Runs the checks side by side, each for a limited time."""

import logging
from collections.abc import Iterator, Sequence

from acestep_ray.errors import ConfigurationError
from acestep_ray.startup.doctor.bounded import Bounded
from acestep_ray.startup.doctor.result import Check, Level, Result, problem, warning
from acestep_ray.startup.doctor.setup import Setup

logger = logging.getLogger(__name__)


def run_checks(setup: Setup, checks: Sequence[Check]) -> Iterator[tuple[str, Result]]:
    """The results of all checks in their order, each with the name of its check."""
    running = [(check, _begin(check, setup)) for check in checks]
    for check, work in running:
        if work is None:
            yield check.name, Result(Level.NOT_CHECKED, "The settings must be put right first.")
            continue
        found, error = work.results()
        if error is not None:
            found.append(_of_error(error, check))
        wrong = any(result.level is Level.PROBLEM for result in found)
        for result in found:
            if not (wrong and result.level is Level.OK):
                yield check.name, result


def _begin(check: Check, setup: Setup) -> Bounded[Result] | None:
    if check.needs_settings and setup.config is None:
        return None
    return Bounded(check.seconds, lambda: check.run(setup))


def _of_error(error: Exception, check: Check) -> Result:
    match error:
        case ConfigurationError():
            return problem(str(error))
        case TimeoutError():
            return problem(
                f"{check.asked} did not answer within {check.seconds:g} s: check that it runs, can "
                "be reached, and is not overloaded."
            )
    # Its text may hold anything, also a secret.
    logger.debug("The check %s failed", check.name, exc_info=error)
    return warning(
        f"This check failed itself ({type(error).__name__}); run it again, and report that if it "
        "stays so."
    )
