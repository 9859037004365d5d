"""The sums of a decoder's GPU memory, compared with the tensors of the full-size modules.

They run on fake tensors, which have shapes and no contents: every live tensor is counted, and no
memory or time is needed. What CUDA's kernels use in addition is not visible here.
"""

import warnings
import weakref
from typing import Any

import pytest
import torch
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from acestep_ray.decoder.checkpoints.sizes import FULL_2B
from acestep_ray.decoder.diffusers.decode import TILE
from acestep_ray.replicas.gpu_memory import VAE_TILE, decoder_needs


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that were made and still live; ``peak`` is the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.alive:
                    self.alive[key] = storage.nbytes()
                    weakref.finalize(storage, self.alive.pop, key, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return found


@pytest.mark.parametrize("seconds", [60, 240, 600])
def test_a_guided_step(seconds: int) -> None:
    known = ("in_channels", "audio_acoustic_hidden_dim", "patch_size", "sliding_window")
    sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    dit = FULL_2B.dit
    rows, frames = 2, seconds * 25
    with FakeTensorMode(), torch.inference_mode():
        model = AceStepTransformer1DModel(
            **{name: dit[name] for name in (*known, *sizes, "head_dim")},
            num_hidden_layers=2,  # they are processed one after another: more need no more memory
            layer_types=dit["layer_types"][:2],
        )
        model = _in_bfloat16(model)
        number: dict[str, Any] = {"dtype": torch.bfloat16}
        time = torch.ones(rows, **number)
        with Counted() as counted:
            model(
                hidden_states=torch.randn(rows, frames, 64, **number),
                timestep=time,
                timestep_r=time,
                encoder_hidden_states=torch.randn(rows, 2000, dit["hidden_size"], **number),
                context_latents=torch.randn(rows, frames, 128, **number),
                return_dict=False,
            )
    work = decoder_needs(0, dit, seconds)[1].size
    assert counted.peak <= work
    assert work <= max(1.6 * counted.peak, VAE_TILE)


def test_a_tile_of_the_vae() -> None:
    config = {name: value for name, value in FULL_2B.vae.items() if name != "_class_name"}
    with FakeTensorMode(), torch.inference_mode():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*weight_norm.* is deprecated")
            vae = _in_bfloat16(AutoencoderOobleck(**config))
        with Counted() as counted:
            vae.decoder(torch.randn(1, 64, TILE, dtype=torch.bfloat16))
    assert counted.peak <= VAE_TILE <= 1.3 * counted.peak


def _in_bfloat16(module: Any) -> Any:
    for parameter in module.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    return module
