"""How much of a GPU each deployment of a set-up needs, and whether its share suffices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from acestep_ray.errors import CheckpointError, ConfigurationError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.vllm.gpu_share import check_context, kv_bytes_a_token
from acestep_ray.planner.vllm.gpu_share import check_share as check_vllm_share
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.gpu_memory import (
    check_share,
    in_turns,
    needs_of_decoder,
    needs_of_planner,
)
from acestep_ray.replicas.planners import PlannerSpec, planners_of
from acestep_ray.replicas.safetensors_header import parameters_in, read_config
from acestep_ray.settings import Settings
from acestep_ray.startup.serve_config import ServeConfig


@dataclass(frozen=True)
class GpuNeed:
    """What one replica of a deployment takes of a GPU, bytes. ``refusal``: why its share is too
    small; empty: it suffices."""

    deployment: str
    size: int
    refusal: str = ""


def gpu_needs(config: ServeConfig, total: int) -> list[GpuNeed]:
    """Of all deployments with real engines that have a GPU. ``total``: bytes of one GPU.

    Deployments whose checkpoints cannot be read are left out: another check reports those.
    """
    shares = _shares(config)
    found = []
    for name, share in shares.items():
        try:
            need = _need(name, share, config.settings, total)
        except (CheckpointError, KeyError, TypeError):
            continue
        except ConfigurationError as error:
            need = GpuNeed(name, 0, str(error))
        if need.size or need.refusal:
            found.append(need)
    return found


def cpu_bytes(settings: Settings) -> int:
    """Bytes of the weights of all real engines on a CPU, in the numbers in which it computes.
    Raises CheckpointError."""
    decoders = sum(_cpu_bytes_of_decoder(spec.settings) for spec in decoders_of(settings))
    folders = [
        find_lm(spec.settings.checkpoints, spec.settings.lm.model)
        for spec in planners_of(settings)
        if spec.settings.planner != "mock"
    ]
    return decoders + sum(4 * parameters_in(folder) for folder in folders)


def _cpu_bytes_of_decoder(settings: Settings) -> int:
    dtype = "fp32" if settings.dit.dtype == "auto" else settings.dit.dtype
    dit = settings.dit.model_copy(update={"dtype": dtype, "offload": False})
    on_cpu = settings.model_copy(update={"dit": dit})
    return sum(need.size for need in needs_of_decoder(on_cpu) if need.what == "weights")


def _need(name: str, share: float, settings: Settings, total: int) -> GpuNeed:
    spec = next((one for one in planners_of(settings) if one.name == name), None)
    if spec is not None and spec.settings.planner == "vllm":
        return GpuNeed(name, _vllm_bytes(spec, share, total))
    if spec is not None:
        needs = needs_of_planner(spec.settings)
    else:
        decoder = next(one for one in decoders_of(settings) if one.name == name)
        needs = needs_of_decoder(decoder.settings)
    share = min(share, 1.0)
    if settings.scaling.gpu_turns:
        needs, share = in_turns(needs, share), 1.0
    check_share(name, needs, share, total)
    return GpuNeed(name, sum(need.size for need in needs))


def _vllm_bytes(spec: PlannerSpec, share: float, total: int) -> int:
    lm = spec.settings.lm
    folder = find_lm(spec.settings.checkpoints, lm.model)
    values = read_config(folder)
    if "max_position_embeddings" in values:
        check_context(folder.name, lm.context, int(values["max_position_embeddings"]))
    heads, layers = int(values["num_key_value_heads"]), int(values["num_hidden_layers"])
    return check_vllm_share(
        folder.name,
        parameters=parameters_in(folder),
        kv_bytes=kv_bytes_a_token(heads, int(values["head_dim"]), layers, 2),
        context=lm.context,
        share=min(share, 1.0),
        total=total,
    )


def _shares(config: ServeConfig) -> dict[str, float]:
    """GPUs of each deployment that has any; the Serve config's own options win."""
    settings = config.settings
    given = {spec.name: spec.pair.num_gpus for spec in planners_of(settings)}
    given |= {spec.name: spec.stage.num_gpus for spec in decoders_of(settings)}
    given |= dict(_overrides(config.application))
    return {name: float(share) for name, share in given.items() if share}


def _overrides(application: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for deployment in application.get("deployments") or []:
        options = deployment.get("ray_actor_options") or {}
        if "num_gpus" in options:
            yield deployment["name"], options["num_gpus"]
