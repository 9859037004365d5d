"""The command `acestep-ray doctor`."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, SecretStr

from acestep_ray.settings.written_values import split_words
from acestep_ray.startup.doctor.checks import CHECKS
from acestep_ray.startup.doctor.report import as_json, as_text, exit_status, without_secrets
from acestep_ray.startup.doctor.result import Check
from acestep_ray.startup.doctor.run import run_checks
from acestep_ray.startup.doctor.setup import Setup, read_setup
from acestep_ray.startup.terminal import show


def doctor(
    config: Path,
    port: int | None = None,
    host: str | None = None,
    as_document: bool = False,
    checks: Sequence[Check] = CHECKS,
) -> int:
    """Check this machine and ``config``, and write the results to stdout; ``as_document``: as JSON.

    ``host`` and ``port`` override those of the config. Returns the exit status: 0, or 1 if anything
    prevents a start or may lose jobs. Raises Refused if there is no such config.
    """
    if not logging.getLogger().handlers:  # what libraries log would be mixed with the table
        logging.getLogger().addHandler(logging.NullHandler())
    setup = read_setup(config, host, port)
    reported = list(run_checks(setup, checks))
    name = str(config.absolute())
    if as_document:
        text = as_json(name, reported)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        text = as_text(name, reported, width)
    show(without_secrets(text, os.environ, _secrets(setup)), sys.stdout)
    return exit_status(reported)


def _secrets(setup: Setup) -> list[str]:
    return [] if setup.config is None else list(_secrets_in(setup.settings))


def _secrets_in(settings: BaseModel) -> Iterator[str]:
    """The secrets of all levels; of one with commas, each part too."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield from {value.get_secret_value(), *split_words(value.get_secret_value())}
        elif isinstance(value, BaseModel):
            yield from _secrets_in(value)
