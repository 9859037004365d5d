"""What runs in vLLM's engine core process, which must not outlive the planner.

vLLM ends it in an orderly shutdown alone. A planner that is killed would leave it behind with the
GPU's memory, and the planner that takes its place could not start.
"""

from typing import Any

from acestep_ray.planner.vllm.parent import end_with_parent
from acestep_ray.planner.vllm.scheduler import PairScheduler


class CoreScheduler(PairScheduler):
    """A scheduler is what vLLM lets others put into that process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        end_with_parent()  # vLLM's workers see the core's end by themselves, and end too
        super().__init__(*args, **kwargs)
