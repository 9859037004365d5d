"""vLLM's engine arguments, derived from the settings and checked before anything is loaded."""

from pathlib import Path
from typing import Any

from vllm.platforms import current_platform
from vllm.utils.cpu_resource_utils import get_memory_node_info

from acestep_ray.errors import SettingError
from acestep_ray.planner.checkpoint import LmCheckpoint
from acestep_ray.planner.vllm import gpu_share as shares
from acestep_ray.planner.vllm.model import ARCHITECTURE
from acestep_ray.settings import Lm

_PACKAGE = __name__.rpartition(".")[0]
_KV_SHARE = 0.25
"""On a CPU: the largest part of the free memory that is used for keys and values."""
_BLOCK_ON_CPU = 128


def engine_arguments(
    checkpoint: LmCheckpoint, tokenizer: Path, settings: Lm, gpu_share: float
) -> dict[str, Any]:
    """Keyword arguments for AsyncEngineArgs. ``gpu_share``: the part of one GPU that may be used, 0
    to 1.

    Raises SettingError, with one sentence and its numbers, for settings that cannot work on this
    machine.
    """
    on_cpu = bool(current_platform.is_cpu())
    _check_device(settings.device)
    longest = int(checkpoint.config.max_position_embeddings)
    shares.check_context(checkpoint.folder.name, settings.context, longest)
    rows = 2 * settings.max_concurrent_plans  # a guided plan is two
    arguments: dict[str, Any] = {
        "model": str(checkpoint.folder),
        "hf_overrides": {"architectures": [ARCHITECTURE]},
        "worker_extension_cls": f"{_PACKAGE}.model.WorkerExtension",
        "tokenizer": str(tokenizer),
        "dtype": "float32" if on_cpu else "bfloat16",
        "max_model_len": settings.context,
        "max_num_seqs": rows,
        # Both prompts of a guided plan enter in one step, together with a token of every other row.
        "max_num_batched_tokens": 2 * settings.context + rows,
        "scheduler_cls": f"{_PACKAGE}.core_process.CoreScheduler",
        "logits_processors": [f"{_PACKAGE}.processor:PlanProcessor"],
        "structured_outputs_config": {"backend": "guidance"},
        "generation_config": "vllm",  # the checkpoint's config would add sampling defaults
        "enable_prefix_caching": True,
        "enforce_eager": on_cpu or not settings.cuda_graphs,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if on_cpu:
        free = get_memory_node_info().available_memory
        arguments["kv_cache_memory_bytes"] = kv_bytes_on_cpu(
            checkpoint, settings.context, settings.max_concurrent_plans, free
        )
    else:
        total = current_platform.get_device_total_memory()
        check_share(checkpoint, settings.context, gpu_share, total)
        arguments["gpu_memory_utilization"] = shares.USABLE * gpu_share
    return arguments


def check_room(blocks: int, block_size: int, context: int) -> None:
    """Raise SettingError if the KV cache of a started engine, ``blocks`` of ``block_size`` tokens,
    has no room for a guided plan as long as the context: such a job could never begin."""
    needed = 2 * -(-context // block_size) + 1  # vLLM itself needs one
    if blocks < needed:
        raise SettingError(
            f"The KV cache has room for {blocks} blocks of {block_size} tokens, but a guided plan "
            f"of ACESTEP_LM__CONTEXT={context} tokens needs {needed}: lower the context, or raise "
            "the planner's num_gpus."
        )


def check_share(checkpoint: LmCheckpoint, context: int, share: float, total: int) -> None:
    """Raise SettingError if ``share`` of a GPU of ``total`` bytes is less than is needed."""
    shares.check_share(
        checkpoint.folder.name,
        parameters=checkpoint.parameters,
        kv_bytes=_kv_bytes_a_token(checkpoint, 2),
        context=context,
        share=share,
        total=total,
    )


def kv_bytes_on_cpu(checkpoint: LmCheckpoint, context: int, plans: int, free: int) -> int:
    """Bytes for ``plans`` guided plans as long as the context, or for as many as fit into a quarter
    of the ``free`` memory. Raises SettingError if not even one fits."""
    pair = 2 * (context + _BLOCK_ON_CPU) * _kv_bytes_a_token(checkpoint, 4)
    most = int(_KV_SHARE * free)
    if pair > most:
        raise SettingError(
            f"A guided plan of ACESTEP_LM__CONTEXT={context} tokens takes {_gb(pair)} of memory "
            f"for keys and values, but a quarter of what is free is {_gb(most)}: lower the "
            "context, or free memory."
        )
    return min(plans * pair, most)


def _check_device(device: str) -> None:
    kind = current_platform.device_type
    if device not in ("", kind):
        raise SettingError(
            f"ACESTEP_LM__DEVICE={device} cannot be had: the vLLM that is installed runs on "
            f"{kind}, on the first that CUDA_VISIBLE_DEVICES shows; leave the setting empty."
        )


def _kv_bytes_a_token(checkpoint: LmCheckpoint, item: int) -> int:
    config = checkpoint.config
    return shares.kv_bytes_a_token(
        config.num_key_value_heads, config.head_dim, config.num_hidden_layers, item
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
