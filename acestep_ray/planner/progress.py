"""Which progress of a plan is worth telling."""

import re
from time import monotonic
from typing import Literal

from acestep_ray.planner.protocol import Metadata, PlanProgress

FIELDS = len(Metadata.model_fields)
"""Steps of the metadata stage."""
Stage = Literal["metadata", "codes"]
_SECONDS = 0.25
_FIELD_END = re.compile(r"\n(?! )")


class ProgressThrottle:
    """Each stage's start and end, and between them a few times a second."""

    def __init__(self) -> None:
        self._held: list[PlanProgress] = []
        self._last: tuple[str, int] | None = None
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether a step in the middle of a stage would be told now."""
        return monotonic() >= self._next

    def hold(self, stage: Stage, step: int, total: int) -> None:
        """A start or an end, to be told with what comes next."""
        self._held.append(PlanProgress(stage=stage, step=step, total=total))
        self._last = (stage, step)

    def events(self, stage: Stage, step: int, total: int) -> list[PlanProgress]:
        """What to tell now that a step is reached."""
        events = self.rest()
        if (stage, step) != self._last and (step in (0, total) or self.due):
            events.append(PlanProgress(stage=stage, step=step, total=total))
            self._last = (stage, step)
        if events:
            self._next = monotonic() + _SECONDS
        return events

    def rest(self) -> list[PlanProgress]:
        """What is held."""
        held, self._held = self._held, []
        return held


def fields_written(text: str) -> int:
    """Whole fields in a text of metadata that is being written; never all of them."""
    return min(len(_FIELD_END.findall(text)), FIELDS - 1)
