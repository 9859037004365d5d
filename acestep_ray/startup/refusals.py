"""Reasons not to start the service on this machine. Each raises Refused, with cause and cure.

The launcher and the doctor use the same ones, so that they always agree.
"""

import errno
import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path

import psutil

from acestep_ray.artifacts.check import check_storage
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.errors import CheckpointError
from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.factory import check_store
from acestep_ray.planner.engines import PLANNER_ENGINES
from acestep_ray.replicas.checkpoint_files import check_files
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.startup.checks import Refused, public_without_key
from acestep_ray.startup.serve_config import ServeConfig

LIBRARIES: dict[str, tuple[str, ...]] = {
    "diffusers": ("torch", "torchaudio", "diffusers", "transformers"),
    **{name: kind.libraries for name, kind in PLANNER_ENGINES.items()},
}
"""Libraries that an engine needs in addition to those of the service."""


def engines_of(settings: Settings) -> list[str]:
    """Names of the engines that the settings choose, in alphabetical order."""
    decoders = {spec.settings.decoder for spec in decoders_of(settings)}
    return sorted(decoders | {spec.settings.planner for spec in planners_of(settings)})


def refuse_missing_checkpoints(config: ServeConfig) -> None:
    """Without this check, a replica would fail minutes later, and only its log would show it."""
    settings = config.settings
    if engines_of(settings) == ["mock"]:
        return
    if settings.checkpoints is None:
        raise Refused(
            "ACESTEP_CHECKPOINTS is not set; name the folder of the models (acestep-ray "
            "download-model gets them; to try it without a download: acestep-ray "
            "make-tiny-checkpoint checkpoints)."
        )
    if not settings.checkpoints.is_dir():
        raise Refused(f"ACESTEP_CHECKPOINTS={settings.checkpoints} is not a folder.")


def refuse_missing_libraries(config: ServeConfig) -> None:
    """Libraries of an extra are often missing: otherwise a replica would fail later."""
    for engine in engines_of(config.settings):
        libraries = LIBRARIES.get(engine, ())
        if engine == "diffusers":
            libraries += ("peft",) if config.settings.adapters else ()
            libraries += ("torchao",) if config.settings.dit.quantization else ()
        if engine == "pt":
            libraries += ("bitsandbytes",) if config.settings.lm.quantization else ()
        for library in libraries:
            if importlib.util.find_spec(library) is None:
                raise Refused(
                    f"{library} is not installed, which the engine {engine} needs: make engines, "
                    "or outside a clone pip install 'acestep-ray[gpu]'."
                )


def refuse_damaged_checkpoints(config: ServeConfig) -> None:
    """A model that is not there, or a download that did not end: a replica would fail on it."""
    if config.settings.checkpoints is None:
        return
    try:
        check_files(config.settings)
    except CheckpointError as error:
        raise Refused(str(error)) from error


def refuse_missing_adapters(config: ServeConfig) -> None:
    """A mistyped folder would be an error of every request that names an adapter."""
    place = config.settings.adapters
    if place and "://" not in place and not Path(place).is_dir():
        raise Refused(f"ACESTEP_ADAPTERS={place} is not a folder.")


def refuse_unusable_storage(config: ServeConfig) -> None:
    """If the storage cannot be used, for example because the bucket is missing, the first job would
    fail after its audio was made."""
    settings = config.settings
    try:
        check_storage(
            settings.artifacts_url, signing=settings.downloads == "redirect", make_folder=False
        )
    except StorageError as error:
        raise Refused(str(error)) from error


def refuse_unusable_store(config: ServeConfig) -> None:
    """If the job store cannot be used, for example because Redis is missing, the service would
    never become ready."""
    try:
        check_store(config.settings)
    except (StoreUnavailable, StoreUnsuitable) as error:
        raise Refused(str(error)) from error


def refuse_public_without_key(config: ServeConfig) -> None:
    """A service that strangers can reach must have an API key, or permission to have none."""
    if why := public_without_key(config.host, config.settings):
        raise Refused(why)


def refuse_used_port(config: ServeConfig) -> None:
    """Serve's proxy sets SO_REUSEPORT, so without this check two servers would share the port."""
    _refuse_used(config.host, config.port, "ACESTEP_PORT")


def refuse_used_metrics_port(config: ServeConfig) -> None:
    """Ray's agent, which serves the metrics on every address, would end."""
    if config.settings.metrics_port is not None:
        _refuse_used("0.0.0.0", config.settings.metrics_port, "ACESTEP_METRICS_PORT")


def _refuse_used(host: str, port: int, setting: str) -> None:
    if error := not_free(host, port):
        raise Refused(
            f"port {port} on {host} cannot be used ({error.strerror}"
            f"{_by(port) if error.errno == errno.EADDRINUSE else ''}); "
            f"stop what listens there, or choose another with {setting}."
        ) from error


REFUSALS: tuple[Callable[[ServeConfig], None], ...] = (
    refuse_public_without_key,
    refuse_missing_checkpoints,
    refuse_missing_libraries,
    refuse_damaged_checkpoints,
    refuse_missing_adapters,
    refuse_unusable_storage,
    refuse_unusable_store,
    refuse_used_port,
    refuse_used_metrics_port,
)
"""In the order in which the launcher checks them."""


def other_on_ipv6(host: str, port: int) -> str | None:
    """If another program has the port where 'localhost' may lead: what to do about it, as a part of
    a sentence. This is no reason not to start."""
    on_ipv6 = not_free("::1", port) if host == "127.0.0.1" else None
    if on_ipv6 is None or on_ipv6.errno != errno.EADDRINUSE:
        return None
    return (
        f"another program has port {port} on ::1, where 'localhost' may lead: ask 127.0.0.1, "
        "or choose another port with ACESTEP_PORT"
    )


def not_free(host: str, port: int) -> OSError | None:
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


def _by(port: int) -> str:
    """Which process listens on a port, as the end of a phrase; empty if this user cannot see it."""
    try:
        for entry in psutil.net_connections("tcp"):
            if entry.status != psutil.CONN_LISTEN or not entry.laddr or not entry.pid:
                continue
            if entry.laddr.port == port:
                return f" by process {entry.pid}, {psutil.Process(entry.pid).name()}"
    except (psutil.Error, OSError):
        pass
    return ""
