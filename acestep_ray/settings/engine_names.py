"""Names of the engines, as settings, stored jobs and requests spell them."""

from typing import Literal

PlannerBackend = Literal["mock", "pt", "vllm"]
"""What runs the language model: ``pt`` is transformers."""
LmBackend = Literal["vllm", "pt"]
"""The planner engines that a request can choose; the mock takes the place of each."""
DecoderBackend = Literal["mock", "diffusers"]
"""What runs the diffusion decoder."""

LmQuantization = Literal["", "nf4"]
"""How the weights of the planner `pt` are kept; empty: as they are computed with."""
Quantization = Literal["", "int8", "fp8"]
"""How the weights of the diffusion transformer are kept; empty: as they are computed with."""
