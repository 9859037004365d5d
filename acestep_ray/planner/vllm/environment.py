"""What vLLM reads from the environment, for the time that it starts.

It spawns its processes then, and they inherit it. What a user's shell happens to hold of vLLM's
many variables must not decide how a service runs; what vLLM itself writes there must not reach what
this process starts later.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from vllm.platforms import current_platform

_UNSET = (
    # Would beat the engine arguments that are derived from the settings.
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_CPU_NUM_OF_RESERVED_CPU",
    # The machine decides.
    "VLLM_USE_V2_MODEL_RUNNER",
)


@contextmanager
def vllm_environment() -> Iterator[None]:
    """Set, and put back."""
    before = dict(os.environ)
    os.environ.update(
        {
            # Nothing is told to anybody, and nothing fetched.
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            # Its warnings are a dozen a start, about choices that are made here.
            "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # this process has threads
        }
    )
    if current_platform.is_cpu():
        os.environ.update(
            {
                # As many threads as torch has here. Others live on these cores too: threads that
                # spin while they wait made a plan ten times slower on a busy machine.
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
