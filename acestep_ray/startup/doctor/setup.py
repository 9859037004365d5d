"""What is checked: a config, its settings, and the service that may run with them."""

from dataclasses import dataclass
from pathlib import Path

from acestep_ray.errors import ConfigurationError
from acestep_ray.jobs.store.factory import sqlite_file
from acestep_ray.jobs.store.sqlite.lock import owner_of
from acestep_ray.settings import Settings
from acestep_ray.startup.checks import Refused
from acestep_ray.startup.doctor.bounded import within
from acestep_ray.startup.doctor.running import RunningService, service_at
from acestep_ray.startup.launcher import url_of
from acestep_ray.startup.serve_config import ServeConfig, configured, read_document

SEARCH_SECONDS = 8.0
"""Longest time in which a service that runs is searched for, seconds."""


@dataclass(frozen=True)
class Setup:
    """``config`` is None if the settings are wrong. ``service``: what answers at its address as
    this program does. ``store_owner``: id of the process that has its SQLite file open."""

    file: Path
    config: ServeConfig | None
    service: RunningService | None = None
    store_owner: int | None = None

    @property
    def checked(self) -> ServeConfig:
        """The config, in checks that need its settings."""
        assert self.config is not None
        return self.config

    @property
    def settings(self) -> Settings:
        """The settings, in checks that need them."""
        return self.checked.settings

    @property
    def runs(self) -> bool:
        """Whether the service that answers is the one with these settings. With Redis, which many
        may share, the address decides."""
        if self.service is None:
            return False
        return not self.settings.store_on_one_node or self.store_owner is not None


def read_setup(file: Path, host: str | None = None, port: int | None = None) -> Setup:
    """The set-up that a config describes. ``host`` and ``port`` override those in it.

    Raises Refused if there is no such file.
    """
    if not file.is_file():
        raise Refused(f"{file} cannot be read: it is not a file.")
    try:
        document = read_document(file)
        config = configured(file, document, host, port)
    except ConfigurationError:
        return Setup(file, None)  # the check of the settings reports why
    owner = None
    if config.settings.store_on_one_node:
        owner = owner_of(sqlite_file(config.settings.store_url))
    url = url_of(config.host, config.port)
    service = within(SEARCH_SECONDS, lambda: service_at(url))
    return Setup(file, config, service, owner)
