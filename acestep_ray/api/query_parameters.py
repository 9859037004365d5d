"""What the parameters of a query accept: for the OpenAPI document, and for error messages."""

from acestep_ray.api.problems import FieldError
from acestep_ray.jobs.job import ErrorCode

LONGEST_WAIT = 60
MOST_JOBS = 200

LEGAL = {
    "wait": f"a number of seconds from 0 to {LONGEST_WAIT}",
    "limit": f"a whole number from 1 to {MOST_JOBS}",
    "status": "queued, running, succeeded or failed (which cancelled jobs are too: see error_code)",
    "error_code": f"one of {', '.join(ErrorCode)}; with ! before it, any other",
    "full": "true or false",
    "path": "the path of a take, as the file of a result of POST /query_result has it",
    "cursor": "the next_cursor of an earlier answer",
}


def parameter_error(name: str, value: object) -> FieldError:
    """An error entry that contains what the parameter accepts."""
    return FieldError(name, f"{name} must be {LEGAL[name]}; got {str(value)[:60]!r}.", LEGAL[name])


def missing_parameter(name: str) -> FieldError:
    """An error entry for a parameter that must be sent and was not."""
    return FieldError(name, f"{name} is missing: it must be {LEGAL[name]}.", LEGAL[name])
