"""Which of the deployed engines serve a request."""

from collections.abc import Iterable

from acestep_ray.api.problems import Problem
from acestep_ray.api.service import Deployed
from acestep_ray.decoder.protocol import DecoderDescription, Task
from acestep_ray.planner.protocol import PlannerDescription


class NoSuchModel(Exception):
    """Nothing that is deployed fits. ``field`` asked for it; the message lists what there is, and
    ``legal`` too, in words that complete "FIELD must be"."""

    def __init__(self, field: str, message: str, legal: str) -> None:
        super().__init__(message)
        self.field = field
        self.legal = legal


def choose_decoder(deployed: Deployed, model: str | None, task: Task) -> DecoderDescription:
    """The first decoder of that model (None: of any) that can do the task.

    Raises NoSuchModel, or Problem 503 where no decoder has come up yet.
    """
    if not deployed.decoders:
        raise _not_ready("decoder", deployed)
    named = [d for d in deployed.decoders if model is None or _same(d.model, model)]
    if not named:
        known = list(dict.fromkeys(d.model for d in deployed.decoders))
        raise NoSuchModel(
            "model",
            f"model {_last(model or '')!r} is not deployed; deployed: {', '.join(known)}.",
            f"{one_of(known)}, or null",
        )
    able = [d for d in named if task in d.tasks]
    if not able:
        what = "; ".join(
            dict.fromkeys(f"{d.model} does {', '.join(d.tasks)}" for d in deployed.decoders)
        )
        raise NoSuchModel(
            "task_type",
            f"task_type {task} is not supported by the deployed model: {what}.",
            one_of(dict.fromkeys(task for d in named for task in d.tasks)),
        )
    return able[0]


def choose_planner(
    deployed: Deployed, model: str | None, backend: str | None
) -> tuple[PlannerDescription, str]:
    """A planner that serves that LM checkpoint (None: any), of that backend where there is one
    (None: any); of several the first.

    Answers it with the checkpoint's name as deployed ("" for None). Raises NoSuchModel, or Problem
    503 where no planner has come up yet.
    """
    if not deployed.planners:
        raise _not_ready("planner", deployed)
    found = [
        (planner, name if model is not None else "")
        for planner in deployed.planners
        for name in (planner.models or ("",))
        if model is None or _same(name, model)
    ]
    if not found:
        known = list(dict.fromkeys(n for p in deployed.planners for n in p.models))
        raise NoSuchModel(
            "lm_model_path",
            f"lm_model_path {_last(model or '')!r} is not deployed; deployed: {', '.join(known)}.",
            f"{one_of(known)}, or null",
        )
    return next((one for one in found if one[0].engine == backend), found[0])


def one_of(words: Iterable[str]) -> str:
    """``text2music, cover or repaint``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _not_ready(engine: str, deployed: Deployed) -> Problem:
    why = " ".join(deployed.reasons)
    return Problem(
        503,
        "not_ready",
        f"No {engine} is up yet; try again in a few seconds. {why}".rstrip(),
        headers={"Retry-After": "5"},
    )


def _last(name: str) -> str:
    """A checkpoint's name; clients of the reference server send its folder too."""
    return name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2][:100]


def _same(name: str, asked: str) -> bool:
    return _last(name).lower() == _last(asked).lower()
