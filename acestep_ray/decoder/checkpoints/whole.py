"""Folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acestep_ray.errors import CheckpointError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` to write into; it becomes ``target`` if the block ends without
    error.

    If the block raises, nothing is left. Raises CheckpointError if ``target`` already holds
    something, or if the disk is full.
    """
    refuse_existing(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written ({error}): choose another.") from error
    try:
        yield draft
        draft.chmod(0o755)  # folders made by mkdtemp are readable by their owner only
        _flush(draft)
        refuse_existing(target)
        draft.rename(target)
    except OSError as error:
        raise CheckpointError(
            f"{target} cannot be written ({error}): check the disk's free space."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Write to the disk: otherwise, after a power cut, a renamed folder may hold empty files."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refuse_existing(target: Path) -> None:
    """Raises CheckpointError if ``target`` is a file or a folder with something in it."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CheckpointError(f"{target} exists already: remove it or write elsewhere.")
