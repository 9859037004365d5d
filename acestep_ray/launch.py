"""Starts the service on this machine: looks before it leaps, then says when it is up."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import yaml

from acestep_ray.audio.storage_check import check_storage
from acestep_ray.audio.storage_error import StorageError
from acestep_ray.jobs.store.open import open_store
from acestep_ray.jobs.store.protocol import StoreUnavailable, StoreUnsuitable
from acestep_ray.launch_log import LaunchLog
from acestep_ray.open_door import open_door
from acestep_ray.settings import Settings

POLL_SECONDS = 0.25
STARTING = "the application is starting"


class Refused(Exception):
    """The service was not started; the message says why, in one sentence."""


def serve(
    config: Path, port: int | None = None, verbose: bool = False, host: str | None = None
) -> int:
    """Check ``config`` and the port, run ``serve run``, and stop it at the first signal.

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
    return _run(document, host, http["port"], verbose, without_gpus)


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
    """On a machine without a GPU, run what asks for one on the CPU, and say so.

    Answers what the application's environment needs for that; it beats args and presets.
    """
    asking = [
        deployment["ray_actor_options"]
        for deployment in application.get("deployments") or []
        if deployment.get("ray_actor_options", {}).get("num_gpus")
    ]
    any_pair = any(pair.num_gpus for pair in settings.planners)
    any_stage = settings.scaling.planner.num_gpus or settings.scaling.decoder.num_gpus
    if not (asking or any_pair or any_stage) or Path("/dev/nvidiactl").exists():
        return {}
    _say("no GPU is here: the models run on the CPU, which is slow")
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
    }
    return defaults | dict(os.environ)


def _run(
    document: dict[str, Any], host: str, port: int, verbose: bool, changes: dict[str, str]
) -> int:
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    # Also the replicas' folder for temporary files: a hard stop leaves some, and this is removed.
    with tempfile.TemporaryDirectory(prefix="acestep-serve-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(document))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        program = Path(sys.executable).with_name("serve")
        _say("starting Ray and the application (10 to 30 seconds) …")
        child = subprocess.Popen(
            [str(program), "run", str(file)],
            env=environment() | changes | {"TMPDIR": folder},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        log = LaunchLog(verbose)
        threading.Thread(target=log.read, args=(child.stdout,), daemon=True).start()
        try:
            if _wait_until_ready(child, url, log.failed):
                log.started()
                return child.wait()
            log.let_go()
            why = log.faults[0] if log.faults else "the lines above say why"
            _say(f"the application failed to start: {why}")
        except KeyboardInterrupt:
            _say("stopping; jobs that have not ended are kept and run at the next start")
            _stop(child)
            return 0
        _stop(child)
        return 1


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(child: subprocess.Popen[str], url: str, failed: threading.Event) -> bool:
    """Say what is still missing, when it changes; False when the application failed to start."""
    said = []
    while child.poll() is None and not failed.is_set():
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
                json.load(answer)
            _say(f"ready: {url}  (try the curl lines of the README; API page: {url}/docs)")
            return True
        except urllib.error.HTTPError as error:
            # 503 of ours says why; a plain 404 is Serve's proxy, whose application still comes up.
            news = _reasons(error) if error.code == 503 else STARTING
        except (OSError, HTTPException):
            news = STARTING if STARTING in said else "Ray is starting"
        if news not in said:
            _say(f"{news} …")
            said.append(news)
        time.sleep(POLL_SECONDS)
    return False


def _reasons(error: urllib.error.HTTPError) -> str:
    try:
        document = json.load(error)
        return " ".join(document.get("reasons") or [document["detail"]])
    except (ValueError, KeyError, AttributeError):
        return STARTING


def _stop(child: subprocess.Popen[str]) -> None:
    """End the child and all that it started, at once.

    Nothing needs to be put in order first: what was answered is on disk, and jobs that run now are
    run again at the next start, just as after a power cut.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever sends it twice means it once
    try:
        root = psutil.Process(child.pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        processes = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes)
    child.wait()


def _say(line: str) -> None:
    sys.stderr.write(f"acestep-ray: {line}\n")
    sys.stderr.flush()
