"""The 5Hz LM as vLLM's own Qwen3, which also accepts the tensor names of some other checkpoints.

vLLM finds a model by the name of its architecture, in the front-end and in each worker. A worker
imports ``WorkerExtension`` before it loads anything, so this module registers the name there too.
"""

from collections.abc import Iterable

from torch import Tensor
from vllm import ModelRegistry
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM

from acestep_ray.planner.checkpoint import full_name, tensor_shapes

ARCHITECTURE = "AceStep5HzLm"


class AceStep5HzLm(Qwen3ForCausalLM):
    """Loads every checkpoint that planner.checkpoint accepts."""

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Overridden to use full tensor names, and to leave out tensors that are not needed."""
        wanted = tensor_shapes(self.config)
        named = ((full_name(name), tensor) for name, tensor in weights)
        loaded: set[str] = super().load_weights(pair for pair in named if pair[0] in wanted)
        return loaded


class WorkerExtension:
    """Adds nothing to a worker; only the import of its module is needed."""


ModelRegistry.register_model(ARCHITECTURE, AceStep5HzLm)
