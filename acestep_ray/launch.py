"""Starts the service on this machine: looks before it leaps, then keeps it up."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from acestep_ray.audio.storage_check import check_storage
from acestep_ray.audio.storage_error import StorageError
from acestep_ray.jobs.store.open import open_store
from acestep_ray.jobs.store.protocol import StoreUnavailable, StoreUnsuitable
from acestep_ray.open_door import open_door
from acestep_ray.ray_node import RayNode
from acestep_ray.settings import Settings
from acestep_ray.supervisor import keep_serving
from acestep_ray.terminal import say


class Refused(Exception):
    """The service was not started; the message says why, in one sentence."""


def serve(
    config: Path, port: int | None = None, verbose: bool = False, host: str | None = None
) -> int:
    """Check ``config`` and the port, run ``serve run``, start it anew when its node has died, and
    stop it at the first signal.

    ``host`` and ``port`` beat the config's. ``verbose`` shows every line of its log, else only
    warnings and worse.

    Answers the exit status. Raises Refused.
    """
    try:
        document = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise Refused(f"{config} cannot be read: {error}.") from error
    check = [sys.executable, "-m", "deployments.check_config", str(config)]
    if subprocess.run(check, check=False).returncode:
        raise Refused("there are mistakes in the settings (above); nothing was started.")
    application = document["applications"][0]
    settings = Settings.model_validate(application.get("args") or {})
    _refuse_missing_checkpoints(settings)
    _refuse_unusable_storage(settings)
    _refuse_unusable_store(settings)
    without_gpus = _leave_out_gpus(application, settings)
    http = document.setdefault("http_options", {})
    if port or "port" in settings.model_fields_set:
        http["port"] = port or settings.port
    http.setdefault("port", settings.port)
    host = http["host"] = host or http.get("host") or "127.0.0.1"
    if why := open_door(host, settings):
        raise Refused(why)
    _refuse_used_port(host, http["port"])
    reached_at = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    run = [str(Path(sys.executable).with_name("serve")), "run"]
    return keep_serving(
        lambda: RayNode(run, document, environment() | without_gpus, verbose),
        f"http://{reached_at}:{http['port']}",
        settings.restarts,
    )


def _refuse_missing_checkpoints(settings: Settings) -> None:
    """A real engine without weights would fail minutes later, in a replica's log."""
    if settings.decoder == "mock" and settings.planner == "mock":
        return
    if settings.checkpoints is None:
        raise Refused(
            "ACESTEP_CHECKPOINTS is not set; name the folder of the models (to try it without a "
            "download: acestep-ray make-tiny-checkpoint checkpoints)."
        )
    if not settings.checkpoints.is_dir():
        raise Refused(f"ACESTEP_CHECKPOINTS={settings.checkpoints} is not a folder.")


def _refuse_unusable_storage(settings: Settings) -> None:
    """A bucket that is not there would fail the first job, once its audio was made."""
    try:
        check_storage(settings.artifacts_url, signing=settings.downloads == "redirect")
    except StorageError as error:
        raise Refused(str(error)) from error


def _refuse_unusable_store(settings: Settings) -> None:
    """A Redis that is not there would keep the service from ever being ready."""
    if settings.store_url.startswith("sqlite:"):
        return  # it may be held by a service that ends just now
    try:
        open_store(settings).close()
    except (StoreUnavailable, StoreUnsuitable) as error:
        raise Refused(str(error)) from error


def _leave_out_gpus(application: dict[str, Any], settings: Settings) -> dict[str, str]:
    """On a machine without a GPU, or where CUDA_VISIBLE_DEVICES shows none, run what asks for one
    on the CPU, and say so.

    Answers what the application's environment needs for that; it beats args and presets.
    """
    asking = [
        deployment["ray_actor_options"]
        for deployment in application.get("deployments") or []
        if deployment.get("ray_actor_options", {}).get("num_gpus")
    ]
    any_pair = any(pair.num_gpus for pair in settings.planners)
    any_stage = settings.scaling.planner.num_gpus or settings.scaling.decoder.num_gpus
    if not (asking or any_pair or any_stage):
        return {}
    if not Path("/dev/nvidiactl").exists():
        why = "no GPU is here"
    elif os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        why = "CUDA_VISIBLE_DEVICES shows no GPU"
    else:
        return {}
    say(f"{why}: the models run on the CPU, which is slow")
    for options in asking:
        del options["num_gpus"]
    changes = {f"ACESTEP_SCALING__{stage}__NUM_GPUS": "0" for stage in ("PLANNER", "DECODER")}
    if any_pair:
        pairs = [pair.model_dump(exclude={"num_gpus"}) for pair in settings.planners]
        changes["ACESTEP_PLANNERS"] = json.dumps(pairs)
    return changes


def _refuse_used_port(host: str, port: int) -> None:
    """Serve's proxy sets SO_REUSEPORT: a second server would share the port without a word."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(
                f"port {port} on {host} cannot be used ({error.strerror}); "
                "stop what listens there, or choose another with ACESTEP_PORT."
            ) from error


def environment() -> dict[str, str]:
    """The environment that Ray is started in; what is set already stays as it is."""
    defaults = {
        # A Ray of loopback needs no token, and one left in the home folder must not ask for it.
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # On a busy laptop a replica may take longer than 0.1 s to say how busy it is.
        "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
        # Ray's default of 15 gives way to everything else on the machine: beside one busy process a
        # core, all of the service had about 3 % of the time.
        "RAY_worker_niceness": "0",
    }
    return defaults | dict(os.environ)
