"""Picks the planner engine that the settings name."""

from acestep_ray.planner.protocol import PlannerEngine
from acestep_ray.settings import Settings


def make_planner(settings: Settings) -> PlannerEngine:
    """Build the engine, loading what it loads.

    Raises ValueError for settings that cannot work on this machine, and CheckpointError for what is
    wrong with a checkpoint.
    """
    if settings.planner == "mock":
        from acestep_ray.planner.mock import MockPlanner

        return MockPlanner(settings.mock, settings.lyrics, settings.defaults.duration)
    if settings.planner == "pt":
        from acestep_ray.planner.transformers.engine import TransformersPlanner

        return TransformersPlanner.load(settings)
    from acestep_ray.planner.vllm.engine import VllmPlanner

    return VllmPlanner.load(settings)
