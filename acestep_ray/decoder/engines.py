"""Picks the decoder engine that the settings name."""

import logging
import os
from functools import partial

from acestep_ray.decoder.protocol import DecoderEngine
from acestep_ray.decoder.turn_taking import TurnTakingDecoder
from acestep_ray.gpu_turn import GpuTurn
from acestep_ray.settings import Settings


def make_decoder(settings: Settings, turn: GpuTurn | None = None) -> DecoderEngine:
    """Build the engine, and load what it needs. ``turn``: if it is on its GPU only while it works.

    Raises ValueError if a setting is missing, and CheckpointError for everything that is wrong with
    a checkpoint.
    """
    if settings.decoder == "mock":
        from acestep_ray.decoder.mock import MockDecoder

        return MockDecoder(settings.mock, settings.dit.model or "mock")
    _quieten_imports()
    from acestep_ray.decoder.diffusers.compiled import keep_compiled
    from acestep_ray.decoder.diffusers.engine import DiffusersDecoder

    if settings.checkpoints is None:
        raise ValueError("ACESTEP_DECODER=diffusers needs ACESTEP_CHECKPOINTS, a folder of models.")
    dit = settings.dit
    if dit.compile:
        keep_compiled(settings.data / "compiled")
    load = partial(
        DiffusersDecoder.load,
        settings.checkpoints,
        dit.model,
        device=dit.device,
        dtype=dit.dtype,
        compiler="inductor" if dit.compile else "",
        adapter_bytes=dit.adapter_bytes,
        quantization=dit.quantization,
        offload=dit.offload,
    )
    return load() if turn is None else TurnTakingDecoder.load(load, turn)


def _quieten_imports() -> None:
    """Without warnings of diffusers and torchao about kernels for other devices, and about classes
    that are not used here."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
