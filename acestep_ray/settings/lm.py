"""Settings of the 5Hz language model."""

from pydantic import Field

from acestep_ray.settings.engine_names import LmQuantization
from acestep_ray.settings.group import Group


class Lm(Group):
    """The 5Hz language model of a real planner."""

    model: str = Field(
        "",
        description="Folder in `checkpoints`, acestep-5Hz-lm-*. Empty: the first by name.",
    )
    device: str = Field("", description="cpu, cuda, cuda:1. Empty: a GPU if there is one.")
    quantization: LmQuantization = Field(
        "",
        description="Matrices of the planner pt in 4 bits: nf4. A quarter of their memory, and "
        "less exact. Empty: in 16 bits.",
    )
    context: int = Field(
        8192, ge=1024, le=40_960, description="Tokens that prompt, metadata and codes may take."
    )
    caption_tokens: int = Field(
        512, ge=8, le=512, description="Longest caption that the LM may write, tokens."
    )
    lyrics_tokens: int = Field(
        2048, ge=8, le=2048, description="Longest lyrics that the LM may write, tokens."
    )
    cuda_graphs: bool = Field(
        True, description="On a GPU, launch each token's kernels as one CUDA graph."
    )
    max_concurrent_plans: int = Field(
        16,
        ge=1,
        le=256,
        description="Plans that a replica makes at the same time (engine vllm); a song has one for "
        "each take.",
    )
    plan_per_take: bool = Field(
        True,
        description="Whether each take of a song gets audio codes of its own, from its own seed. "
        "False: all takes share those of the first one.",
    )
