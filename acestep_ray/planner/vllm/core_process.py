"""What runs in vLLM's engine core process, which must not outlive the planner.

vLLM ends it in an orderly shutdown alone. A planner that is killed would leave it behind with the
GPU's memory, and the planner that takes its place could not start.
"""

import multiprocessing
import os
import threading
from multiprocessing import connection
from typing import Any

from acestep_ray.planner.vllm.scheduler import PairScheduler


class CoreScheduler(PairScheduler):
    """A scheduler is what vLLM lets others put into that process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parent = multiprocessing.parent_process()
        if parent is not None:
            threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Its workers see its end, and end too."""
    connection.wait([sentinel])
    os._exit(1)
