"""On a small GPU: only the module that works is on it, and the others wait in the host's memory.

Accelerate's hooks move a module to the device when it is called. Unlike those of diffusers'
``enable_model_cpu_offload``, they keep exactly one there, whatever the order of the calls is: a
job's source is encoded by the module that also decodes its takes.
"""

from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers import AceStepPipeline
from torch import nn

MOVING = ("text_encoder", "condition_encoder", "audio_token_detokenizer", "transformer", "vae")


class Residents:
    """Belongs to the thread of the device. ``there``: the module that is on it now; None: none."""

    def __init__(self, pipeline: AceStepPipeline, device: torch.device) -> None:
        self.there: nn.Module | None = None
        self._device = device
        for name in MOVING:
            module = getattr(pipeline, name)
            if module is not None:
                move(module, torch.device("cpu"))
                add_hook_to_module(module, _Hook(self, device))
        # The engine calls it directly, and not through the VAE.
        add_hook_to_module(pipeline.vae.decoder, _Hook(self, device, pipeline.vae))
        self.staying: list[nn.Module] = []
        """Modules that do not move between jobs: they are small."""
        if pipeline.audio_tokenizer is not None:  # it is used by parts
            pipeline.audio_tokenizer.to(device)
            self.staying.append(pipeline.audio_tokenizer)

    def need(self, module: nn.Module) -> None:
        """Put a module on the device, after the one that is there was taken off."""
        if self.there is module:
            return
        self.leave()
        self.there = module
        move(module, self._device)

    def leave(self) -> None:
        """Take the module that is there off the device."""
        if self.there is not None:
            move(self.there, torch.device("cpu"))
            self.there = None


def move(module: nn.Module, device: torch.device) -> None:
    """Move a module. Its parameters stay the same objects: models that share them see the move."""
    with torch.inference_mode(mode=False):  # or the weights would become tensors of inference
        module.to(device)


class _Hook(ModelHook):  # type: ignore[misc]  # it has no types
    def __init__(
        self, residents: Residents, device: torch.device, whole: nn.Module | None = None
    ) -> None:
        super().__init__()
        self._residents = residents
        self._whole = whole
        self.execution_device = device
        """Read by diffusers' pipelines: where inputs belong."""

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._residents.need(self._whole or module)
        return args, kwargs

    def __deepcopy__(self, _: object) -> "_Hook":
        return self  # a model with adapters, which is a copy, moves by the same rule
