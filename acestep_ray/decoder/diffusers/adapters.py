"""The model with adapters, beside the model without.

A job with adapters runs in a second set of the transformer's modules, which has the same weights in
the same memory, and the adapters' small matrices beside them. So nothing is ever merged into the
weights, and a job without adapters runs in modules that no adapter has touched.
"""

import copy
import logging
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from diffusers import AceStepPipeline, AceStepTransformer1DModel
from diffusers.loaders.peft import set_weights_and_activate_adapters

from acestep_ray.adapters.header import BadAdapter
from acestep_ray.adapters.library import LocalAdapter
from acestep_ray.decoder.diffusers.adapter_weights import AdapterWeights, read_weights
from acestep_ray.decoder.diffusers.device import ran_out_of_memory
from acestep_ray.decoder.protocol import AdapterUse

logger = logging.getLogger(__name__)

MOST_BYTES = 1 << 30
"""Of the weights of adapters that are kept on the device, unless another number is set."""

MOST_MODELS = 16
"""Combinations that are kept: each has its own modules, in the memory of the host."""

_Key = tuple[str, str]
"""Name and version of an adapter."""


class AdaptedModels:
    """The model with each combination of adapters that jobs have used, the last ones first to stay.
    Belongs to the thread of the device."""

    def __init__(self, pipeline: AceStepPipeline, most_bytes: int = MOST_BYTES) -> None:
        self._pipeline = pipeline
        self._most_bytes = most_bytes
        self._models: OrderedDict[tuple[_Key, ...], _Adapted] = OrderedDict()

    @property
    def names(self) -> frozenset[str]:
        """The adapters whose weights are on the device."""
        return frozenset(name for keys in list(self._models) for name, _ in keys)

    @property
    def nbytes(self) -> int:
        """Bytes of their weights, each adapter counted once."""
        return sum(weights.nbytes for weights in self._weights().values())

    def get(
        self, uses: Sequence[AdapterUse], adapters: Mapping[str, LocalAdapter]
    ) -> AceStepPipeline:
        """The pipeline whose transformer has these adapters, at these scales.

        The scales hold until the next call. Raises BadAdapter.
        """
        wanted = {use.name: use.scale for use in uses}
        keys = tuple((name, adapters[name].version) for name in sorted(wanted))
        model = self._models.pop(keys, None)
        if model is None:
            model = self._make(keys, adapters)
        self._models[keys] = model
        self._forget_oldest()
        set_weights_and_activate_adapters(
            model.pipeline.transformer,
            [_name(number) for number in range(len(keys))],
            [wanted[name] for name, _ in keys],
        )
        return model.pipeline

    def clear(self) -> None:
        """Forget all, because the device's memory is needed."""
        self._models.clear()

    def _weights(self) -> dict[_Key, AdapterWeights]:
        return {
            key: weights
            for keys, model in self._models.items()
            for key, weights in zip(keys, model.weights, strict=True)
        }

    def _make(self, keys: Sequence[_Key], adapters: Mapping[str, LocalAdapter]) -> "_Adapted":
        known = self._weights()
        transformer = self._pipeline.transformer
        weights = [known.get(key) or read_weights(adapters[key[0]], transformer) for key in keys]
        return _Adapted(self._pipeline, [name for name, _ in keys], weights)

    def _forget_oldest(self) -> None:
        while len(self._models) > 1 and (
            len(self._models) > MOST_MODELS or self.nbytes > self._most_bytes
        ):
            keys, _ = self._models.popitem(last=False)
            logger.info("Gave back the memory of %s", " and ".join(name for name, _ in keys))


class _Adapted:
    """One combination."""

    def __init__(
        self, pipeline: AceStepPipeline, names: Sequence[str], weights: Sequence[AdapterWeights]
    ) -> None:
        self.weights = tuple(weights)
        transformer = same_weights(pipeline.transformer)
        for number, (name, one) in enumerate(zip(names, weights, strict=True)):
            try:
                _load(transformer, one, _name(number))
            except (ValueError, TypeError, RuntimeError, KeyError) as error:
                if ran_out_of_memory(error):
                    raise
                # If that of a second adapter fails, diffusers fails once more, by a KeyError.
                first = error.__context__ if isinstance(error, KeyError) else error
                reason = str(first).split("\n", 1)[0].rstrip(".")
                raise BadAdapter(f"The adapter {name} cannot be used: {reason}.") from error
            # What PEFT does not take is only a warning of diffusers'.
            if left := next((key for key, p in transformer.named_parameters() if p.is_meta), None):
                layer = left.partition(".lo")[0]
                raise BadAdapter(
                    f"The adapter {name} cannot be used: its matrices for the layer {layer} are "
                    "not of a form that PEFT has."
                )
        transformer.eval().requires_grad_(False)
        self.pipeline = type(pipeline)(**pipeline.components | {"transformer": transformer})


def _load(transformer: AceStepTransformer1DModel, weights: AdapterWeights, name: str) -> None:
    with warnings.catch_warnings():
        # PEFT asks whether several adapters are really wanted.
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        # And it cannot merge into weights in 8 bits, which is not wanted.
        warnings.filterwarnings("ignore", ".*without `get_apply_tensor_subclass`")
        transformer.load_lora_adapter(
            dict(weights.tensors),
            prefix=None,
            adapter_name=name,
            metadata=weights.config,
            low_cpu_mem_usage=True,
        )


def same_weights(module: AceStepTransformer1DModel) -> AceStepTransformer1DModel:
    """Another set of modules with the same tensors: each is in memory once."""
    tensors = [*module.parameters(), *module.buffers()]
    memo: dict[int, torch.Tensor] = {id(tensor): tensor for tensor in tensors}
    return copy.deepcopy(module, memo)


def _name(number: int) -> str:
    """As PEFT knows an adapter in one model; names of files may have dots, which it splits."""
    return f"adapter_{number}"
