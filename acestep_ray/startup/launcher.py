"""Starts the service on this machine, after checks, and keeps it running."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from acestep_ray.settings import Settings
from acestep_ray.startup.checks import Refused
from acestep_ray.startup.gpu_use import deployments_with_gpus, why_on_cpu
from acestep_ray.startup.ray_node import RayNode
from acestep_ray.startup.refusals import REFUSALS, other_on_ipv6
from acestep_ray.startup.serve_config import configured, mistakes, read_document
from acestep_ray.startup.supervisor import keep_serving
from acestep_ray.startup.terminal import show, show_json, show_line


def serve(
    config: Path, port: int | None = None, verbose: bool = False, host: str | None = None
) -> int:
    """Check ``config`` and the port, run ``serve run``, start it again if its node dies, and stop
    it at the first signal.

    ``host`` and ``port`` override those of the config. ``verbose`` shows every line of the log,
    otherwise only warnings and errors are shown. Returns the exit status. Raises Refused.
    """
    document = read_document(config)
    if found := mistakes(config):
        show("".join(f"{line}\n" for line in found))
        raise Refused("there are mistakes in the settings (above); nothing was started.")
    checked = configured(config, document, host, port)
    settings = checked.settings
    if settings.logs.format == "json":
        show_json()
        logging_config = document.get("logging_config") or {}
        document["logging_config"] = {"encoding": "JSON", **logging_config}
    for refuse in REFUSALS:
        refuse(checked)
    if why := other_on_ipv6(checked.host, checked.port):
        show_line(why)
    without_gpus = _leave_out_gpus(checked.application, settings)
    document["http_options"] = (document.get("http_options") or {}) | {
        "host": checked.host,
        "port": checked.port,
    }
    show_line(f"config {config.absolute()}, data folder {settings.data}")
    # Not the program `serve`: it may belong to another Python (pip install --user).
    run = [sys.executable, "-m", "deployments.serve_run"]
    if not settings.dashboard:
        run.append("--no-dashboard")
    if settings.metrics_port is not None:
        run.append(f"--metrics-port={settings.metrics_port}")
    return keep_serving(
        lambda: RayNode(run, document, environment() | without_gpus, verbose),
        url_of(checked.host, checked.port),
        settings.restarts,
    )


def url_of(host: str, port: int) -> str:
    """URL of the service on this machine."""
    reached_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached_at}]:{port}" if ":" in reached_at else f"http://{reached_at}:{port}"


def _leave_out_gpus(application: dict[str, Any], settings: Settings) -> dict[str, str]:
    """If this machine has no GPU, or CUDA_VISIBLE_DEVICES hides it, run the engines on the CPU, and
    show that.

    Returns the environment variables for that; they override args and presets.
    """
    why = why_on_cpu(application, settings)
    if why is None:
        return {}
    show_line(f"{why}: the models run on the CPU, which is slow")
    for options in deployments_with_gpus(application):
        del options["num_gpus"]
    changes = {f"ACESTEP_SCALING__{stage}__NUM_GPUS": "0" for stage in ("PLANNER", "DECODER")}
    for name, listed in (("PLANNERS", settings.planners), ("DECODERS", settings.decoders)):
        if any(one.num_gpus for one in listed):
            without = [one.model_dump(exclude={"num_gpus"}) for one in listed]
            changes[f"ACESTEP_{name}"] = json.dumps(without)
    return changes


def environment() -> dict[str, str]:
    """The environment in which Ray is started. Variables that are set already do not change."""
    defaults = {
        # A token file in the home folder must not turn tokens on. Without tokens, whoever reaches
        # Ray's ports can run code, and most of them listen on every address: the doctor warns.
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        # On a busy machine the process of the dashboard (with few modules, if there is none) needs
        # more than Ray's 60 s.
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # At 0.1 s, Serve's default, its controller uses more processor time than all else in an
        # idle service.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
        # On a busy laptop a replica may need more than 0.1 s to report how busy it is.
        "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
        # Ray would leave out lines that differ from others only by words with digits: those of
        # other jobs.
        "RAY_DEDUP_LOGS": "0",
        # With Ray's default of 15, every other process has priority: with one other busy process
        # per core, the whole service had about 3 % of the CPU time.
        "RAY_worker_niceness": "0",
    }
    return defaults | dict(os.environ)
