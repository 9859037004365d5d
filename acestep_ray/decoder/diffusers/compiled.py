"""torch.compile for the two modules in which a job spends its time."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AceStepPipeline

logger = logging.getLogger(__name__)

MOST_GRAPHS = 64
"""Per function: the kinds of inputs (one take or several, an even or odd number of frames, shorter
or longer than the attention's window) multiply."""


def compile_modules(
    pipeline: AceStepPipeline, warm_up: Callable[[], None], backend: str = "inductor"
) -> bool:
    """Compile the diffusion transformer and the VAE's decoder for inputs of any length.

    ``warm_up`` makes jobs of all kinds, so that the modules are compiled before the first real one.
    If that fails, one warning says why, and the modules stay as they were. Returns whether they are
    compiled. A job that needs another kind of input later is compiled when it comes, and if that
    fails, made without.
    """
    modules = (pipeline.transformer, pipeline.vae.decoder)
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_GRAPHS)
    try:
        for module in modules:
            module.compile(dynamic=True, backend=backend)
        warm_up()
    except Exception as error:
        reason = " ".join(str(error).split("\n")[:2])  # "backend='…' raised:", and what
        logger.warning(
            "The decoder's modules cannot be compiled, so they run as they are: %s", reason
        )
        for module in modules:
            module._compiled_call_impl = None
        torch._dynamo.reset()
        return False
    torch._dynamo.config.suppress_errors = True
    return True


def keep_compiled(folder: Path) -> None:
    """Keep what is compiled in this folder, for the next start; not if the environment already
    names another one."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
