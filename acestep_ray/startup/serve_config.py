"""A Serve config as this machine reads it: the file, its settings, and the address to listen on."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from acestep_ray.settings import Settings
from acestep_ray.settings.mistakes import in_words
from acestep_ray.startup.checks import Refused

CHECK_SECONDS = 120.0
"""Longest time that the check of a config takes, seconds: on a busy machine, most of it is Ray's
import."""


@dataclass(frozen=True)
class ServeConfig:
    """A config without mistakes. ``document`` is its content; the launcher may change it."""

    file: Path
    document: dict[str, Any]
    settings: Settings
    host: str
    port: int

    @property
    def application(self) -> dict[str, Any]:
        """The part of the document that describes this application."""
        return application_of(self.document)


def read_document(file: Path) -> Any:
    """The content of a Serve config, not checked yet. Raises Refused if there is none."""
    try:
        return yaml.safe_load(file.read_text())
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read: {' '.join(str(error).split())}.") from error


def mistakes(file: Path) -> list[str]:
    """Every mistake in a Serve config and in the environment, one line each; empty if there are
    none.

    A process of its own finds them: Ray knows which keys a config may have.
    """
    command = [sys.executable, "-m", "deployments.check_config", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return [f"{file} could not be checked within {CHECK_SECONDS:g} s; try again."]
    if not done.returncode:
        return []
    lines = done.stderr.splitlines() or [f"its check ended with status {done.returncode}"]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return [f"{file} could not be checked ({lines[-1]}); install acestep-ray again."]
    return lines


def configured(
    file: Path, document: dict[str, Any], host: str | None = None, port: int | None = None
) -> ServeConfig:
    """The config with its settings. ``host`` and ``port`` override those in it.

    Raises Refused if it has no application, or wrong settings (``mistakes`` reports them better).
    """
    try:
        settings = Settings.model_validate(application_of(document).get("args") or {})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {in_words(one, Settings)}" for one in error.errors()
        ]
        raise Refused(f"the settings cannot be used ({'; '.join(wrong)}).") from None
    http = document.get("http_options") or {}
    if port is None:
        given = "port" in settings.model_fields_set
        port = settings.port if given else http.get("port", settings.port)
    host = host or http.get("host") or "127.0.0.1"
    return ServeConfig(file, document, settings, host, port)


def application_of(document: Any) -> dict[str, Any]:
    """The first application of a Serve config. Raises Refused if it has none."""
    try:
        application = document["applications"][0]
    except (TypeError, KeyError, IndexError):
        application = None
    if not isinstance(application, dict):
        raise Refused("the config names no application; see serve_config.yaml for an example.")
    return application
