"""The 5Hz LM as vLLM's own Qwen3, that also loads the names that some checkpoints have.

vLLM finds a model by its architecture's name, in the front-end and in each worker. A worker imports
``WorkerExtension`` before it loads anything, and so knows the name too.
"""

from collections.abc import Iterable

from torch import Tensor
from vllm import ModelRegistry
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM

from acestep_ray.planner.checkpoint import full_name, tensor_shapes

ARCHITECTURE = "AceStep5HzLm"


class AceStep5HzLm(Qwen3ForCausalLM):
    """What planner.checkpoint has checked, loads."""

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Overridden to name tensors in full, and to leave out those of no use."""
        wanted = tensor_shapes(self.config)
        named = ((full_name(name), tensor) for name, tensor in weights)
        loaded: set[str] = super().load_weights(pair for pair in named if pair[0] in wanted)
        return loaded


class WorkerExtension:
    """Adds nothing to a worker: it is the import that counts."""


ModelRegistry.register_model(ARCHITECTURE, AceStep5HzLm)
