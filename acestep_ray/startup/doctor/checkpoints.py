"""The models: their folder, their names, and whether their files are whole."""

from collections.abc import Iterator
from pathlib import Path

from acestep_ray.replicas.checkpoint_files import check_files
from acestep_ray.startup.doctor.result import Result, ok, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.refusals import (
    engines_of,
    refuse_damaged_checkpoints,
    refuse_missing_checkpoints,
)

UNFINISHED = (
    "*.incomplete",
    ".cache/huggingface/download/*.incomplete",
    "*/.cache/huggingface/download/*.incomplete",
)
"""Files of downloads that have not ended, by the tools of the model hub."""


def check_checkpoints(setup: Setup) -> Iterator[Result]:
    """See Check."""
    config, folder = setup.checked, setup.settings.checkpoints
    if engines_of(setup.settings) == ["mock"]:
        yield ok("the mock engines need none")
        return
    refused = list(refusal(lambda: refuse_missing_checkpoints(config)))
    refused = refused or list(refusal(lambda: refuse_damaged_checkpoints(config)))
    yield from refused
    if folder is None:
        return
    if any(next(folder.glob(pattern), None) for pattern in UNFINISHED):
        yield warning(
            f"{folder} holds a download that has not ended (*.incomplete): download that model "
            "again, or delete the file."
        )
    if not refused:
        models = check_files(setup.settings)
        yield ok(f"{', '.join(models)} in {_shown(folder)}, all files whole")


def _shown(folder: Path) -> Path:
    return folder.expanduser().absolute()
