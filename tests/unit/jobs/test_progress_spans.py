"""How much of a running job's decoding is left, by its last report."""

import pytest

from acestep_ray.jobs.progress_spans import decode_left, spans_of
from acestep_ray.jobs.result import Progress
from acestep_ray.planner.protocol import PlanParameters, Writing


@pytest.mark.parametrize(
    ("stage", "step", "total", "left"),
    [
        ("writing", 30, 300, 1.0),
        ("metadata", 1, 1, 1.0),
        ("codes", 299, 300, 1.0),
        ("waiting", 0, 1, 1.0),
        ("diffusion", 0, 8, 0.98),
        ("diffusion", 4, 8, 0.59),
        ("storing", 2, 2, 0.0),
        ("storing", 3, 2, 0.0),
        ("an engine's own", 1, 2, 1.0),
        ("vae", 0, 0, 0.2),
    ],
)
def test_decode_left(stage: str, step: int, total: int, left: float) -> None:
    """The same whether or not a plan was made before: other jobs wait for the decoder."""
    word = Progress(stage=stage, step=step, total=total, fraction=0.5)
    assert decode_left(word) == pytest.approx(left)


@pytest.mark.parametrize(
    "plan", [None, PlanParameters(), PlanParameters(writing=Writing(kind="format"))]
)
def test_the_stages_fill_the_whole_job(plan: PlanParameters | None) -> None:
    """A bar that is drawn from them neither jumps nor goes back."""
    spans = sorted(spans_of(plan).values())
    assert (spans[0][0], spans[-1][1]) == (0.0, 1.0)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert ("writing" in spans_of(plan)) is bool(plan and plan.writing)
