"""Picks the planner engine that the settings name."""

from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.protocol import PlannerEngine
from acestep_ray.settings import Settings


def make_planner(settings: Settings, gpu_share: float = 1.0) -> PlannerEngine:
    """Build the engine, loading what it loads; ``gpu_share`` is the part of a GPU that it may
    take. Raises ValueError for settings that cannot work on this machine, and CheckpointError for
    what is wrong with a checkpoint."""
    if settings.planner == "mock":
        from acestep_ray.planner.mock import MockPlanner

        models = (settings.lm.model,) if settings.lm.model else PUBLISHED
        return MockPlanner(settings.mock, settings.lyrics, settings.defaults.duration, models)
    if settings.planner == "pt":
        from acestep_ray.planner.transformers.engine import TransformersPlanner

        return TransformersPlanner.load(settings)
    from acestep_ray.planner.vllm.engine import VllmPlanner

    return VllmPlanner.load(settings, gpu_share=gpu_share)
