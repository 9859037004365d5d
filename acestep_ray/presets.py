"""Presets: settings for a kind of machine, beneath what the environment and a Serve config say.

docs/operations.md tells the sums behind them.
"""

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["", "12gb", "24gb", "box", "cluster"]

SMALLEST: PresetName = "12gb"
"""The preset for the smallest card that does."""
SMALLEST_CARD = 12_200_000_000
"""Bytes of that card, at the least, as CUDA tells them: a card of 12 GB has some more."""

_SHARED = {"min_replicas": 1, "max_replicas": 1}
_WHOLE = {"num_gpus": 1, "min_replicas": 1}

PRESETS: Mapping[str, dict[str, Any]] = {
    "": {},
    # One card of 12 to 16 GB: both share it, the language model is the small one.
    "12gb": {
        "lm": {"model": "acestep-5Hz-lm-0.6B", "context": 4096},
        "scaling": {
            "planner": {"num_gpus": 0.3, **_SHARED},
            "decoder": {"num_gpus": 0.7, **_SHARED},
        },
    },
    # One card of 24 GB or more: both share it.
    "24gb": {
        "scaling": {
            "planner": {"num_gpus": 0.4, **_SHARED},
            "decoder": {"num_gpus": 0.6, **_SHARED},
        },
    },
    # One machine with several cards: one plans, the others decode, as many as are needed.
    "box": {
        "scaling": {
            "planner": {**_WHOLE, "max_replicas": 1},
            "decoder": {**_WHOLE, "max_replicas": 0},
        },
    },
    # Machines that an autoscaler adds and removes.
    "cluster": {
        "scaling": {
            "planner": {**_WHOLE, "max_replicas": 4},
            "decoder": {**_WHOLE, "max_replicas": 32},
            "elastic": True,
            "idle_seconds": 600,
        },
    },
}
