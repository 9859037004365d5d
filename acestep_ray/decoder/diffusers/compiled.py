"""torch.compile for the two modules in which a job spends its time."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    compiled.
    """
    modules = (pipeline.transformer, pipeline.vae.decoder)
    try:
        for module in modules:
            module.compile(dynamic=True, backend=backend, recompile_limit=MOST_GRAPHS)
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
    return True


@contextmanager
def or_as_it_is() -> Iterator[None]:
    """Inside, a kind of input that cannot be compiled when it comes is computed without.

    torch's settings belong to a context, and jobs have one of their own.
    """
    with torch._dynamo.config.patch(suppress_errors=True):
        yield


def keep_compiled(folder: Path) -> None:
    """Keep what is compiled in this folder, for the next start; not if the environment already
    names another one."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
