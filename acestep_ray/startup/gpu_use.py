"""Whether engines that shall have a GPU get one on this machine."""

import os
from pathlib import Path
from typing import Any

from acestep_ray.settings import Settings


def why_on_cpu(application: dict[str, Any], settings: Settings) -> str | None:
    """Why engines that shall have a GPU run on the CPU, as a part of a sentence; None if they have
    one, or need none."""
    if not wants_gpus(application, settings):
        return None
    if not Path("/dev/nvidiactl").exists():
        return "this machine has no GPU"
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return "CUDA_VISIBLE_DEVICES shows no GPU"
    return None


def wants_gpus(application: dict[str, Any], settings: Settings) -> bool:
    """Whether the settings or the Serve config give a GPU to any deployment."""
    listed = any(one.num_gpus for one in (*settings.planners, *settings.decoders))
    any_stage = settings.scaling.planner.num_gpus or settings.scaling.decoder.num_gpus
    return bool(deployments_with_gpus(application) or listed or any_stage)


def deployments_with_gpus(application: dict[str, Any]) -> list[dict[str, Any]]:
    """Options of the deployments that have GPUs in the Serve config itself."""
    return [
        deployment["ray_actor_options"]
        for deployment in application.get("deployments") or []
        if deployment.get("ray_actor_options", {}).get("num_gpus")
    ]
