"""The settings of replicas: how many of each stage, on what, and when they come and go."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from acestep_ray.settings_group import Group


class Stage(Group):
    """How many replicas a stage has, and on what."""

    num_gpus: float | None = Field(
        None, ge=0, description="GPUs a replica, or the part of one. None: none is asked for."
    )
    min_replicas: int = Field(1, ge=0, description="0: none while there is no work.")
    max_replicas: int = Field(1, ge=0, description="0: as many as the cluster's cards allow.")

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
    """One language model on one backend, deployed and scaled by itself; without a ``num_gpus`` of
    its own it has that of ``scaling.planner``."""

    model: str = Field("", description="Folder in `checkpoints`, acestep-5Hz-lm-*.")
    backend: Literal["mock", "pt", "vllm"] = Field(description="Planner engine.")
    max_replicas: int = Field(1, ge=1)


class Scaling(Group):
    """How replicas follow the work that waits; a Serve config's own `autoscaling_config` and
    `ray_actor_options` of a deployment beat it."""

    planner: Stage = Field(Stage(), description="The planner, where `planners` lists none.")
    decoder: Stage = Stage()
    target_seconds: float = Field(
        60.0, gt=0, description="Decoders are started until all that waits is done in this time."
    )
    idle_seconds: float = Field(
        300.0, ge=0, description="A replica that is not needed for so long is stopped."
    )
    elastic: bool = Field(
        False, description="Cards are added on demand: replicas are not held against those there."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for name, stage in (("planner", self.planner), ("decoder", self.decoder)):
            if self.elastic and stage.max_replicas == 0:
                raise ValueError(
                    f"{name}.max_replicas must be given where cards are added on demand"
                )
        return self
