"""Which share of a job each stage is: for the progress that clients see, and for the ETA."""

from collections.abc import Mapping

from acestep_ray.jobs.result import Progress
from acestep_ray.planner.protocol import PlanParameters

WAITING = "waiting"
"""The stage of a job that no engine works on: step 0 of 1 while it waits for a worker or for its
turn at a worker, then step 1 of 1."""

# Share of a whole job that is done at the start and the end of each stage.
PLANNED_SPANS = {
    "metadata": (0.0, 0.05),
    "codes": (0.05, 0.4),
    WAITING: (0.4, 0.4),
    "encoding": (0.4, 0.42),
    "diffusion": (0.42, 0.85),
    "vae": (0.85, 0.95),
    "storing": (0.95, 1.0),
}
# A song whose text the LM writes first: then it has no metadata left to write.
WRITTEN_SPANS = PLANNED_SPANS | {
    "writing": (0.0, 0.1),
    "metadata": (0.1, 0.12),
    "codes": (0.12, 0.4),
}
UNPLANNED_SPANS = {
    "encoding": (0.0, 0.02),
    "diffusion": (0.02, 0.8),
    "vae": (0.8, 0.93),
    "storing": (0.93, 1.0),
}


def spans_of(plan: PlanParameters | None) -> Mapping[str, tuple[float, float]]:
    """The table of a job with this plan; None: without one."""
    if plan is None:
        return UNPLANNED_SPANS
    return WRITTEN_SPANS if plan.writing else PLANNED_SPANS


def decode_left(progress: Progress) -> float:
    """Share of a running job's decoding that is still to be done, 0 to 1; 1 before it has begun."""
    start, end = UNPLANNED_SPANS.get(progress.stage, (0.0, 0.0))
    done = start + (end - start) * progress.step / max(progress.total, 1)
    return min(max(1.0 - done, 0.0), 1.0)
