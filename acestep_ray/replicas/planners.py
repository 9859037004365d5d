"""Which planners are deployed: pairs of a language model and a backend, one deployment each.

If the setting ``planners`` is empty, there is one planner, from the settings ``planner``, ``lm``
and ``scaling.planner``. It is called PLANNER.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.errors import CheckpointError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.engines import PLANNER_ENGINES
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.protocol import PlannerDescription, PlannerError, PlanRequest
from acestep_ray.settings import Settings
from acestep_ray.settings.scaling import PlannerPair

PLANNER = "Planner"
"""Name of the only planner, and prefix of the names of several."""


@dataclass(frozen=True)
class PlannerSpec:
    """One planner. ``settings``: the service's settings, with this planner's backend and model."""

    name: str
    pair: PlannerPair
    settings: Settings

    def describe(self) -> PlannerDescription:
        """What it serves, from the settings alone. No models if none is set and the checkpoints
        are not on this machine."""
        return PlannerDescription(
            engine=self.settings.planner,
            models=self._models(),
            mock=self.settings.planner == "mock",
            deployment=self.name,
        )

    @property
    def plans_at_once(self) -> int:
        """How many plans a replica takes."""
        return PLANNER_ENGINES[self.settings.planner].plans_at_once(self.settings)

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
    return tuple(PlannerSpec(name_of(pair), pair, _settings_of(pair, settings)) for pair in pairs)


def planner_for(request: PlanRequest, specs: Sequence[PlannerSpec]) -> str:
    """Name of the planner that makes this plan: the one chosen at submit, or, if that one is no
    longer deployed, the first that serves the model. Raises PlannerError if none does."""
    by_name = {spec.name: spec for spec in specs}
    if request.planner in by_name:
        return request.planner
    described = [(spec.name, spec.describe().models) for spec in specs]
    for name, models in described:
        if not request.model or not models or request.model in models:
            return name
    deployed = ", ".join(model for _, models in described for model in models)
    raise PlannerError(f"The LM {request.model!r} is no longer deployed; there are: {deployed}.")


def name_of(pair: PlannerPair) -> str:
    """Name of the deployment of a pair in ``planners``."""
    return "-".join(filter(None, (PLANNER, pair.model, pair.backend)))


def _settings_of(pair: PlannerPair, settings: Settings) -> Settings:
    lm = settings.lm.model_copy(update={"model": pair.model})
    return settings.model_copy(update={"planner": pair.backend, "lm": lm})
