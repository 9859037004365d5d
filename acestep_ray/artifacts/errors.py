"""Errors of artifact storage. A message is one sentence that a client may read."""

import errno
import re

from acestep_ray.errors import ConfigurationError


class StorageError(Exception):
    """Audio could not be stored or read. The cause, with its paths, is for the log only."""


class StorageFull(StorageError):
    """There is no room left."""


class ArtifactMissing(StorageError):
    """There is no such file in storage."""


class StorageUnusable(StorageError, ConfigurationError):
    """Storage is set up wrongly, and waiting does not help. The message is for the operator of the
    service: it names the setting and the cure."""


UNREACHABLE = re.compile(
    r"after \d+ retries|status code: 5\d\d|kind: (Connect|Request|Timeout|Interrupted)"
)
"""In the text of an object store's error: waiting may help. The library has no type for this."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of full storage."""


def error_number(error: BaseException) -> int | None:
    """The operating system's error number: that of an OSError, or from the text of an error of a
    Rust library, such as "(os error 28)"."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def storage_error(error: BaseException, doing: str, what: str = "The audio") -> StorageError:
    """``error`` as one that a client may read; ``doing``: what failed, such as "be stored"."""
    if error_number(error) in NO_ROOM:
        return StorageFull(f"{what} could not {doing}: the storage is full.")
    if UNREACHABLE.search(str(error)):
        return StorageError(f"{what} could not {doing}: the storage cannot be reached.")
    return StorageError(f"{what} could not {doing}: the storage failed.")
