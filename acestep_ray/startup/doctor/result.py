"""What a check finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from acestep_ray.errors import ConfigurationError
from acestep_ray.startup.doctor.setup import Setup


class Level(StrEnum):
    """How good or bad it is. The values are part of ``--json``; they are added, never renamed."""

    OK = "ok"
    WARNING = "warning"
    """The service works, but not as well as it could, or not for ever."""
    PROBLEM = "problem"
    """The service cannot start, or may lose jobs."""
    NOT_CHECKED = "not_checked"
    """Something else must be put right first."""


@dataclass(frozen=True)
class Result:
    """One sentence; of a warning or a problem, it has the cause and the cure."""

    level: Level
    message: str


@dataclass(frozen=True)
class Check:
    """One line of the table, or several. ``name`` is part of ``--json``, as the levels are.

    ``run`` may raise a ConfigurationError, which is a problem. It gets ``seconds``; if it has not
    ended by then, it is a problem that ``asked`` does not answer. ``needs_settings``: it is not run
    if they are wrong.
    """

    name: str
    run: Callable[[Setup], Iterator[Result]]
    seconds: float = 10.0
    needs_settings: bool = True
    asked: str = "this machine"


def ok(message: str) -> Result:
    """All is well."""
    return Result(Level.OK, message)


def warning(message: str) -> Result:
    """See Level.WARNING."""
    return Result(Level.WARNING, message)


def problem(message: str) -> Result:
    """See Level.PROBLEM."""
    return Result(Level.PROBLEM, message)


def refusal(refuse: Callable[[], object]) -> Iterator[Result]:
    """The problem for which ``refuse`` raises a ConfigurationError; nothing if it raises none."""
    try:
        refuse()
    except ConfigurationError as error:
        yield problem(str(error))
