"""Whether a SqliteStore could be opened, found out without its lock, and without SQLite.

SQLite itself would lock the file and make others beside it, which a service that runs could notice.
"""

import os
import tempfile
from pathlib import Path

from acestep_ray.artifacts.errors import NO_ROOM
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.sqlite.lock import lock_file
from acestep_ray.jobs.store.sqlite.schema import refuse_newer
from acestep_ray.jobs.store.state import StoreState

_MAGIC = b"SQLite format 3\0"
_VERSION_AT = 60
"""Position of ``user_version`` in the file's header: four bytes, the highest first."""


def check_sqlite(path: Path) -> StoreState:
    """How the database is. Raises StoreUnavailable and SchemaTooNew, as SqliteStore does."""
    try:
        _check_folder(path.parent)
        header = _header(path)
    except OSError as error:
        raise StoreUnavailable(
            f"The job store {path} cannot be used ({error.strerror}); let this user write there, or"
            " name another folder in ACESTEP_DATA, or another file in ACESTEP_STORE."
        ) from error
    if not header:
        return StoreState(f"The job store {path} will be made at the first start.")
    if not header.startswith(_MAGIC):
        raise StoreUnavailable(
            f"The job store {path} cannot be used: it is not a database; move it away, or name"
            " another folder in ACESTEP_DATA."
        )
    refuse_newer(int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4], "big"))
    return StoreState(f"The job store {path} can be read and written.")


def _check_folder(folder: Path) -> None:
    """Raise OSError if files cannot be made in the folder, or if it cannot be made itself."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        if error.errno not in NO_ROOM:  # to make room, jobs are deleted: the service must run
            raise


def _header(path: Path) -> bytes:
    """The first bytes of the file; none if it is empty or does not exist. Raises OSError if it, or
    a file beside it, cannot be written."""
    files = (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")), lock_file(path))
    for file in files:
        if file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    if not path.exists():
        return b""
    with path.open("rb") as opened:
        return opened.read(_VERSION_AT + 4)
