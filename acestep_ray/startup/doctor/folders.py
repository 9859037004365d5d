"""Folders, which may not exist yet."""

import tempfile
from pathlib import Path


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def why_unwritable(folder: Path) -> str:
    """Why this user cannot make files in an existing folder; empty: it can. Nothing is left."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
