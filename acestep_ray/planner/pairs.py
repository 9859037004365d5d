"""Which planners are deployed: pairs of a language model and a backend, each by itself.

One that nobody listed comes from the settings ``planner``, ``lm`` and ``scaling.planner``, and is
called PLANNER.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.checkpoint_error import CheckpointError
from acestep_ray.planner.lm_folder import find_lm
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.protocol import PlannerDescription, PlannerError, PlanRequest
from acestep_ray.scaling import PlannerPair
from acestep_ray.settings import Settings

PLANNER = "Planner"
"""Name of the only planner, and what the names of several begin with."""


@dataclass(frozen=True)
class PlannerSpec:
    """One planner. ``settings`` are the service's, as this one reads them."""

    name: str
    pair: PlannerPair
    settings: Settings

    def describe(self) -> PlannerDescription:
        """What it serves, without asking it; no models where only the checkpoints could tell which
        and they are not here."""
        return PlannerDescription(
            engine=self.settings.planner,
            models=self._models(),
            mock=self.settings.planner == "mock",
            deployment=self.name,
        )

    @property
    def plans_at_once(self) -> int:
        """How many plans a replica takes. Of those that plan one by one, one waits beside it, so
        that it goes on without a pause."""
        if self.settings.planner == "vllm":
            return self.settings.lm.max_concurrent_plans
        return 4 if self.settings.planner == "mock" else 2

    def _models(self) -> tuple[str, ...]:
        model = self.settings.lm.model
        if model:
            return (model,)
        if self.settings.planner == "mock":
            return PUBLISHED
        try:
            return (find_lm(self.settings.checkpoints).name,)
        except CheckpointError:
            return ()


def planners_of(settings: Settings) -> tuple[PlannerSpec, ...]:
    """Every planner of the application; the first is the default."""
    if not settings.planners:
        stage = settings.scaling.planner.model_dump()
        pair = PlannerPair(model=settings.lm.model, backend=settings.planner, **stage)
        return (PlannerSpec(PLANNER, pair, settings),)
    num_gpus = settings.scaling.planner.num_gpus
    pairs = [
        pair if pair.num_gpus is not None else pair.model_copy(update={"num_gpus": num_gpus})
        for pair in settings.planners
    ]
    return tuple(PlannerSpec(name_of(pair), pair, _as_read_by(pair, settings)) for pair in pairs)


def planner_for(request: PlanRequest, specs: Sequence[PlannerSpec]) -> str:
    """Name of the planner that makes this plan: the one chosen at submit, and where it is deployed
    no more, the first that serves the model. Raises PlannerError where none does."""
    by_name = {spec.name: spec for spec in specs}
    if request.planner in by_name:
        return request.planner
    described = [(spec.name, spec.describe().models) for spec in specs]
    for name, models in described:
        if not request.model or not models or request.model in models:
            return name
    there = ", ".join(model for _, models in described for model in models)
    raise PlannerError(f"The LM {request.model!r} is no longer deployed; there are: {there}.")


def name_of(pair: PlannerPair) -> str:
    """Name of a listed pair's deployment."""
    return "-".join(filter(None, (PLANNER, pair.model, pair.backend)))


def _as_read_by(pair: PlannerPair, settings: Settings) -> Settings:
    lm = settings.lm.model_copy(update={"model": pair.model})
    return settings.model_copy(update={"planner": pair.backend, "lm": lm})
