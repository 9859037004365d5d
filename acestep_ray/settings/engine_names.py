"""Names of the engines: the values of the settings ``planner`` and ``decoder``."""

from typing import Literal

PlannerBackend = Literal["mock", "pt", "vllm"]
DecoderBackend = Literal["mock", "diffusers"]
