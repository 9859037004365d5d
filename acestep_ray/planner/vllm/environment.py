"""Environment variables for vLLM while it starts.

It starts its processes in that time, and they inherit the variables. vLLM has many variables; those
in a user's shell must not decide how a service runs. Variables that vLLM itself sets must not reach
programs that this process starts later.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from vllm.platforms import current_platform

_UNSET = (
    # These would override the engine arguments that are derived from the settings.
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_CPU_NUM_OF_RESERVED_CPU",
    # This depends on the machine.
    "VLLM_USE_V2_MODEL_RUNNER",
)


@contextmanager
def vllm_environment() -> Iterator[None]:
    """Set the variables, and restore the old ones at the end of the block."""
    before = dict(os.environ)
    os.environ.update(
        {
            # vLLM sends no usage statistics and downloads nothing.
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            # It logs about twelve warnings per start, about options that are chosen here.
            "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # this process has threads
        }
    )
    if current_platform.is_cpu():
        os.environ.update(
            {
                # As many threads as torch uses in this process. Other processes use these cores
                # too: busy-waiting threads made a plan ten times slower on a busy machine.
                "OMP_NUM_THREADS": str(torch.get_num_threads()),
                "OMP_WAIT_POLICY": "PASSIVE",
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            }
        )
    for name in _UNSET:
        os.environ.pop(name, None)
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"].upper())
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
