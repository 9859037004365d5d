"""Selects the progress of a plan or a text that is reported."""

import re
from time import monotonic
from typing import Literal

from acestep_ray.planner.protocol import Metadata, PlanProgress

FIELDS = len(Metadata.model_fields)
"""Steps of the metadata stage."""
Stage = Literal["writing", "metadata", "codes"]
_SECONDS = 0.25
_FIELD_END = re.compile(r"\n(?! )")


class ProgressThrottle:
    """Reports the start and the end of each stage, and a few steps per second between them."""

    def __init__(self) -> None:
        self._held: list[PlanProgress] = []
        self._last: tuple[str, int] | None = None
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether a step in the middle of a stage would be reported now."""
        return monotonic() >= self._next

    def hold(self, stage: Stage, step: int, total: int) -> None:
        """Keep a start or an end, to be reported with the next events."""
        self._held.append(PlanProgress(stage=stage, step=step, total=total))
        self._last = (stage, step)

    def events(self, stage: Stage, step: int, total: int) -> list[PlanProgress]:
        """What to report when a step is reached."""
        events = self.rest()
        if (stage, step) != self._last and (step in (0, total) or self.due):
            events.append(PlanProgress(stage=stage, step=step, total=total))
            self._last = (stage, step)
        if events:
            self._next = monotonic() + _SECONDS
        return events

    def rest(self) -> list[PlanProgress]:
        """The events that are still held."""
        held, self._held = self._held, []
        return held


def fields_written(text: str) -> int:
    """Number of complete fields in unfinished metadata text; at most FIELDS - 1."""
    return min(len(_FIELD_END.findall(text)), FIELDS - 1)
