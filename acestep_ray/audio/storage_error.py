"""What can go wrong with stored audio. Messages are one sentence that a client may read."""

import errno
import re


class StorageError(Exception):
    """Audio could not be stored or read. The cause, with its paths, is for the log only."""


class StorageFull(StorageError):
    """There is no room left."""


class ArtifactMissing(StorageError):
    """There is no such file in storage."""


class StorageUnusable(StorageError):
    """Storage is set up wrongly, and no waiting mends it. The message is for whoever runs the
    service: it names the setting and the cure."""


AWAY = re.compile(
    r"after \d+ retries|status code: 5\d\d|kind: (Connect|Request|Timeout|Interrupted)"
)
"""In the text of an object store's error: waiting may mend it. The library has no type for this."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def error_number(error: BaseException) -> int | None:
    """The operating system's number: OSError's own, or from the text where a library written in
    Rust says it: "(os error 28)"."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else None


def storage_error(error: BaseException, doing: str) -> StorageError:
    """``error`` as one that a client may read; ``doing`` says what failed ("be stored")."""
    if error_number(error) in NO_ROOM:
        return StorageFull(f"The audio could not {doing}: the storage is full.")
    if AWAY.search(str(error)):
        return StorageError(f"The audio could not {doing}: the storage cannot be reached.")
    return StorageError(f"The audio could not {doing}: the storage failed.")
