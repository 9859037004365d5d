"""The mock planner: the whole planner's behaviour without a language model."""

from acestep_ray.planner.mock.engine import MockPlanner

__all__ = ["MockPlanner"]
