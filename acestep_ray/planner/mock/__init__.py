"""The mock planner: behaves like a planner, without a language model."""

from acestep_ray.planner.mock.engine import MockPlanner

__all__ = ["MockPlanner"]
