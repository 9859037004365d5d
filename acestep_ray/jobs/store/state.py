"""How a job store is, as its check finds it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StoreState:
    """A store that can be used. ``summary`` is one sentence; ``warnings``: what may be lost or
    refused, one sentence each, with the cure."""

    summary: str
    warnings: tuple[str, ...] = ()
