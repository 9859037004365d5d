"""Settings of replicas: how many per stage, on which GPUs, and when they start and stop."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from acestep_ray.settings.engine_names import DecoderBackend, PlannerBackend
from acestep_ray.settings.group import Group


class Stage(Group):
    """How many replicas a stage has, and with how many GPUs."""

    num_gpus: float | None = Field(
        None, ge=0, description="GPUs per replica, or a part of one. None: none is requested."
    )
    min_replicas: int = Field(1, ge=0, description="0: none while there is no work.")
    max_replicas: int = Field(1, ge=0, description="0: as many as the cluster's GPUs allow.")

    @field_validator("num_gpus")
    @classmethod
    def _whole_above_one(cls, num_gpus: float | None) -> float | None:
        if num_gpus is not None and num_gpus > 1 and num_gpus % 1:
            raise ValueError("above 1, num_gpus must be a whole number")
        return num_gpus

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.max_replicas and self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas ({self.min_replicas}) must not be above max_replicas "
                f"({self.max_replicas})"
            )
        return self


class PlannerPair(Stage):
    """One language model on one backend, deployed and scaled separately. If it has no ``num_gpus``,
    that of ``scaling.planner`` is used."""

    model: str = Field("", description="Folder in `checkpoints`, acestep-5Hz-lm-*.")
    backend: PlannerBackend = Field(description="Planner engine.")
    max_replicas: int = Field(1, ge=1)


class DecoderModel(Stage):
    """One decoder model, deployed and scaled separately. If it has no ``num_gpus``, that of
    ``scaling.decoder`` is used."""

    model: str = Field(
        min_length=1, description="Name in `checkpoints`, as of `dit.model`; on the mock, any name."
    )
    backend: DecoderBackend = Field(description="Decoder engine.")
    max_replicas: int = Field(1, ge=1)
    adapters: tuple[str, ...] = Field(
        ("*",),
        description="Which of the service's adapters are for this model: names, which may have the "
        "wildcards *, ? and [abc]. By default all that fit it.",
    )


def _each_pair_once(planners: tuple[PlannerPair, ...]) -> tuple[PlannerPair, ...]:
    pairs = [(pair.model, pair.backend) for pair in planners]
    for model, backend in pairs:
        if backend != "mock" and not model:
            raise ValueError(f"name the model on {backend}: requests choose a planner by it")
        if pairs.count((model, backend)) > 1:
            raise ValueError(f"{model or 'the mock'} on {backend} is listed twice")
    return planners


def _each_model_once(decoders: tuple[DecoderModel, ...]) -> tuple[DecoderModel, ...]:
    seen: dict[str, str] = {}
    for one in decoders:
        # As a request's model is read: in any case, with or without its folder.
        name = one.model.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
        if (other := seen.setdefault(name, one.model)) != one.model:
            raise ValueError(
                f"requests cannot tell {other} and {one.model} apart: list one of them"
            )
    models = [one.model for one in decoders]
    for model in models:
        if models.count(model) > 1:
            raise ValueError(f"{model} is listed twice; max_replicas says how many there may be")
    return decoders


Planners = Annotated[tuple[PlannerPair, ...], AfterValidator(_each_pair_once)]
Decoders = Annotated[tuple[DecoderModel, ...], AfterValidator(_each_model_once)]


class Scaling(Group):
    """How the number of replicas follows the waiting work. The `autoscaling_config` and
    `ray_actor_options` of a deployment in a Serve config override it."""

    planner: Stage = Field(Stage(), description="The planner, if `planners` is empty.")
    decoder: Stage = Field(Stage(), description="The decoder, if `decoders` is empty.")
    target_seconds: float = Field(
        60.0, gt=0, description="Time in which the decoders should do all waiting work, seconds."
    )
    idle_seconds: float = Field(
        300.0, ge=0, description="A replica that was not needed for this time is stopped, seconds."
    )
    gpu_turns: bool = Field(
        False,
        description="Engines that share a GPU take turns: the weights of one are on it while it "
        "has work, and those of the others wait in the host's memory. Each may then use the whole "
        "GPU; `num_gpus` only says which engines share one. Not for the vllm planner.",
    )
    unload_seconds: float = Field(
        0.0,
        ge=0,
        description="Weights of an engine without work for this time leave the GPU, and come back "
        "for the next job, seconds. 0: they stay. Not for the vllm planner.",
    )
    elastic: bool = Field(
        False, description="GPUs are added on demand: replicas need not fit onto those present."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for name, stage in (("planner", self.planner), ("decoder", self.decoder)):
            if self.elastic and stage.max_replicas == 0:
                raise ValueError(f"{name}.max_replicas must be given if GPUs are added on demand")
        return self
