"""What runs in vLLM's engine core process, which must end with the planner.

vLLM ends it only in an orderly shutdown. If the planner is killed, the core process would continue
to hold the GPU's memory, and the next planner could not start.
"""

from typing import Any

from acestep_ray.planner.vllm.parent import end_with_parent
from acestep_ray.planner.vllm.scheduler import PairScheduler


class CoreScheduler(PairScheduler):
    """A scheduler, because vLLM lets other programs put one into that process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        end_with_parent()  # vLLM's workers notice the core's end by themselves, and end too
        super().__init__(*args, **kwargs)
