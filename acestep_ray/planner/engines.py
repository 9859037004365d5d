"""Picks the planner engine that the settings name."""

from acestep_ray.planner.protocol import PlannerEngine
from acestep_ray.settings import Settings


def make_planner(settings: Settings) -> PlannerEngine:
    """Build the engine, loading what it loads. Raises ValueError for one that is not built in,
    and CheckpointError for what is wrong with a checkpoint."""
    if settings.planner == "mock":
        from acestep_ray.planner.mock import MockPlanner

        return MockPlanner(settings.mock, settings.lyrics, settings.defaults.duration)
    if settings.planner == "pt":
        from acestep_ray.planner.transformers.engine import TransformersPlanner

        return TransformersPlanner.load(settings)
    raise ValueError(f"ACESTEP_PLANNER={settings.planner} is not available in this version.")
