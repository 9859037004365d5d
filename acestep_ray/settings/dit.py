"""Settings of the decoder's diffusion model, and of what it needs beside it."""

from pydantic import Field, model_validator

from acestep_ray.settings.engine_names import Quantization
from acestep_ray.settings.group import Group


class Dit(Group):
    """The decoder: its diffusion model, if it is a real one, and its encoders."""

    model: str = Field(
        "", description="Model in `checkpoints`, acestep-v15-*. Empty: the only one, or turbo."
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1; auto: a GPU if there is one.")
    dtype: str = Field(
        "auto",
        description="bf16, fp16, fp32; auto: bf16 on a GPU that supports it, fp32 on the CPU.",
    )
    quantization: Quantization = Field(
        "",
        description="Weights of a real decoder's diffusion transformer in 8 bits: int8, or fp8 on "
        "a GPU that has such numbers. Half the memory, and a little less exact. Empty: in 16 bits.",
    )
    offload: bool = Field(
        False,
        description="Whether only the module of a real decoder that works is on the GPU, and the "
        "others are in the host's memory: less than half the GPU's memory, and some time to move "
        "them in each job. Not together with `compile`.",
    )
    compile: bool = Field(
        False,
        description="Whether a real decoder compiles its model (torch.compile) before it is ready. "
        "The first start then takes minutes; what is compiled is kept in `data`.",
    )
    adapter_bytes: int = Field(
        2**30,
        ge=0,
        description="Weights of adapters that a replica keeps on its device, bytes. Those of the "
        "present job are always there.",
    )
    adapter_cache_bytes: int = Field(
        20 * 2**30,
        ge=0,
        description="Copies of adapters' files that a node keeps in `data`, if `adapters` is a "
        "bucket; bytes.",
    )
    encoders: int = Field(
        0,
        ge=0,
        le=64,
        description="Takes that a replica turns into files at a time, one core each. 0: its share "
        "of the node's cores, without one for the device.",
    )

    @model_validator(mode="after")
    def _compiled_in_one_place(self) -> "Dit":
        if self.compile and self.offload:
            raise ValueError(
                "compile and offload cannot be used together: set one of them to false"
            )
        return self
