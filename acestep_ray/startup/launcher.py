"""Starts the service on this machine, after checks, and keeps it running."""

import errno
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from acestep_ray.artifacts.check import check_storage
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.errors import ConfigurationError
from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.factory import open_store
from acestep_ray.planner.engines import PLANNER_ENGINES
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.startup.checks import public_without_key
from acestep_ray.startup.ray_node import RayNode
from acestep_ray.startup.supervisor import keep_serving
from acestep_ray.startup.terminal import show_line

LIBRARIES: dict[str, tuple[str, ...]] = {
    "diffusers": ("torch", "diffusers"),
    **{name: kind.libraries for name, kind in PLANNER_ENGINES.items()},
}
"""Libraries that an engine needs in addition to those of the service."""


class Refused(ConfigurationError):
    """The service was not started. The message names the cause and the cure in one sentence."""


def serve(
    config: Path, port: int | None = None, verbose: bool = False, host: str | None = None
) -> int:
    """Check ``config`` and the port, run ``serve run``, start it again if its node dies, and stop
    it at the first signal.

    ``host`` and ``port`` override those of the config. ``verbose`` shows every line of the log,
    otherwise only warnings and errors are shown. Returns the exit status. Raises Refused.
    """
    try:
        document = yaml.safe_load(config.read_text())
    except OSError as error:
        raise Refused(f"{config} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{config} cannot be read: {error}.") from error
    check = [sys.executable, "-m", "deployments.check_config", str(config)]
    if subprocess.run(check, check=False).returncode:
        raise Refused("there are mistakes in the settings (above); nothing was started.")
    application = document["applications"][0]
    settings = Settings.model_validate(application.get("args") or {})
    _refuse_missing_checkpoints(settings)
    _refuse_missing_libraries(settings)
    _refuse_unusable_storage(settings)
    _refuse_unusable_store(settings)
    without_gpus = _leave_out_gpus(application, settings)
    http = document.setdefault("http_options", {})
    if port is not None or "port" in settings.model_fields_set:
        http["port"] = settings.port if port is None else port
    http.setdefault("port", settings.port)
    host = http["host"] = host or http.get("host") or "127.0.0.1"
    if why := public_without_key(host, settings):
        raise Refused(why)
    refuse_used_port(host, http["port"])
    if settings.metrics_port is not None:
        refuse_used_port("0.0.0.0", settings.metrics_port, "ACESTEP_METRICS_PORT")
    show_line(f"config {config.absolute()}, data folder {settings.data}")
    # Not the program `serve`: it may belong to another Python (pip install --user).
    run = [sys.executable, "-m", "deployments.serve_run"]
    if not settings.dashboard:
        run.append("--no-dashboard")
    if settings.metrics_port is not None:
        run.append(f"--metrics-port={settings.metrics_port}")
    return keep_serving(
        lambda: RayNode(run, document, environment() | without_gpus, verbose),
        url_of(host, http["port"]),
        settings.restarts,
    )


def url_of(host: str, port: int) -> str:
    """URL of the service on this machine."""
    reached_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached_at}]:{port}" if ":" in reached_at else f"http://{reached_at}:{port}"


def _refuse_missing_checkpoints(settings: Settings) -> None:
    """Raise Refused if weights are missing: without this check, a replica would fail minutes later,
    and only its log would show it."""
    if settings.decoder == "mock" and settings.planner == "mock":
        return
    if settings.checkpoints is None:
        raise Refused(
            "ACESTEP_CHECKPOINTS is not set; name the folder of the models (to try it without a "
            "download: acestep-ray make-tiny-checkpoint checkpoints)."
        )
    if not settings.checkpoints.is_dir():
        raise Refused(f"ACESTEP_CHECKPOINTS={settings.checkpoints} is not a folder.")


def _refuse_missing_libraries(settings: Settings) -> None:
    """Raise Refused if libraries of an extra are missing: otherwise a replica would fail later."""
    engines = {settings.decoder, *(spec.settings.planner for spec in planners_of(settings))}
    for engine in sorted(engines & LIBRARIES.keys()):
        for library in LIBRARIES[engine]:
            if importlib.util.find_spec(library) is None:
                raise Refused(
                    f"{library} is not installed, which the engine {engine} needs: make engines, "
                    "or outside a clone pip install 'acestep-ray[gpu]'."
                )


def _refuse_unusable_storage(settings: Settings) -> None:
    """Raise Refused if the storage cannot be used, for example because the bucket is missing:
    otherwise the first job would fail after its audio was made."""
    try:
        check_storage(settings.artifacts_url, signing=settings.downloads == "redirect")
    except StorageError as error:
        raise Refused(str(error)) from error


def _refuse_unusable_store(settings: Settings) -> None:
    """Raise Refused if the job store cannot be used, for example because Redis is missing:
    otherwise the service would never become ready."""
    if settings.store_on_one_node:
        return  # a service that is just ending may still have its lock
    try:
        open_store(settings).close()
    except (StoreUnavailable, StoreUnsuitable) as error:
        raise Refused(str(error)) from error


def _leave_out_gpus(application: dict[str, Any], settings: Settings) -> dict[str, str]:
    """If this machine has no GPU, or CUDA_VISIBLE_DEVICES hides it, run the engines on the CPU, and
    show that.

    Returns the environment variables for that; they override args and presets.
    """
    with_gpus = [
        deployment["ray_actor_options"]
        for deployment in application.get("deployments") or []
        if deployment.get("ray_actor_options", {}).get("num_gpus")
    ]
    any_pair = any(pair.num_gpus for pair in settings.planners)
    any_stage = settings.scaling.planner.num_gpus or settings.scaling.decoder.num_gpus
    if not (with_gpus or any_pair or any_stage):
        return {}
    if not Path("/dev/nvidiactl").exists():
        why = "this machine has no GPU"
    elif os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        why = "CUDA_VISIBLE_DEVICES shows no GPU"
    else:
        return {}
    show_line(f"{why}: the models run on the CPU, which is slow")
    for options in with_gpus:
        del options["num_gpus"]
    changes = {f"ACESTEP_SCALING__{stage}__NUM_GPUS": "0" for stage in ("PLANNER", "DECODER")}
    if any_pair:
        pairs = [pair.model_dump(exclude={"num_gpus"}) for pair in settings.planners]
        changes["ACESTEP_PLANNERS"] = json.dumps(pairs)
    return changes


def refuse_used_port(host: str, port: int, setting: str = "ACESTEP_PORT") -> None:
    """Raise Refused if the port cannot be used. Serve's proxy sets SO_REUSEPORT, so without this
    check two servers would share the port; Ray's agent, which serves metrics, would end."""
    if error := _not_free(host, port):
        raise Refused(
            f"port {port} on {host} cannot be used ({error.strerror}); "
            f"stop what listens there, or choose another with {setting}."
        ) from error
    on_ipv6 = _not_free("::1", port) if host == "127.0.0.1" else None
    if on_ipv6 and on_ipv6.errno == errno.EADDRINUSE:
        show_line(
            f"another program has port {port} on ::1, where 'localhost' may lead: ask 127.0.0.1, "
            "or choose another port with ACESTEP_PORT"
        )


def _not_free(host: str, port: int) -> OSError | None:
    """The error of listening there; None if the port is free."""
    if not 0 < port < 65_536:
        return OSError(errno.EINVAL, "a port is a number from 1 to 65535")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def environment() -> dict[str, str]:
    """The environment in which Ray is started. Variables that are set already do not change."""
    defaults = {
        # Ray on loopback needs no token. A token file in the home folder must not turn tokens on.
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # On a busy laptop a replica may need more than 0.1 s to report how busy it is.
        "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
        # With Ray's default of 15, every other process has priority: with one other busy process
        # per core, the whole service had about 3 % of the CPU time.
        "RAY_worker_niceness": "0",
    }
    return defaults | dict(os.environ)
