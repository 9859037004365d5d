"""Checks the artifact storage before it is used, and reports what is wrong with it."""

import re
import tempfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from acestep_ray.artifacts.bucket import open_bucket
from acestep_ray.artifacts.errors import (
    NO_ROOM,
    UNREACHABLE,
    StorageError,
    StorageUnusable,
    error_number,
)
from acestep_ray.artifacts.keys import sources_prefix
from acestep_ray.artifacts.local_folder import root_of

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
MACHINE_CREDENTIALS = re.compile("latest/(api/token|meta-data)|computeMetadata|metadata/identity")
"""URLs that are read on a cloud's machine if the environment holds no credentials."""
CONTENT = b"check"


def check_storage(
    url: str, *, signing: bool = False, patience: float = 5.0, make_folder: bool = True
) -> None:
    """Store, read, list and delete a few bytes as jobs do, and with ``signing`` sign a URL.

    Blocks, so that no thread is still at work when the process ends. Without ``make_folder``, a
    folder that does not exist yet is not made; whether it could be is tested in the folder above.
    Raises StorageUnusable if the set-up must be changed, and StorageError if the storage cannot be
    reached for ``patience`` seconds (30 if it accepts requests and never responds). Both messages
    name the setting and the cure.
    """
    root = root_of(url)
    try:
        if root is not None:
            _check_folder(root, make_folder)
        else:
            _check_bucket(url, signing, patience)
    except (BaseError, OSError) as error:
        if error_number(error) in NO_ROOM:
            return  # to make room, jobs are deleted, and for that the service must run
        raise explained(url, error) from error


def _check_folder(root: Path, make: bool) -> None:
    if make:
        root.mkdir(parents=True, exist_ok=True)
    else:
        root = next(folder for folder in (root, *root.parents) if folder.exists())
    with tempfile.TemporaryFile(dir=root) as file:
        file.write(CONTENT)


def _check_bucket(url: str, signing: bool, patience: float) -> None:
    store = open_bucket(url, patience)
    # The id of no job: if a check is killed, the search for orphans removes its file.
    folder = sources_prefix(str(uuid4()))
    key = f"{folder}/check"
    obstore.put(store, key, CONTENT)
    obstore.get_range(store, key, start=0, end=len(CONTENT))
    obstore.list(store, folder).collect()
    if signing:
        obstore.sign(store, "GET", key, timedelta(seconds=1))
    obstore.delete(store, key)


def explained(url: str, error: BaseException) -> StorageError:
    """The message for ``error``, which the check of the storage at ``url`` met."""
    if isinstance(error, OSError) and error.strerror:
        return StorageUnusable(
            f"Audio cannot be stored in {url} ({error.strerror}); let this user write there, or "
            "name another folder in ACESTEP_ARTIFACTS or ACESTEP_DATA."
        )
    name, variables = f"ACESTEP_ARTIFACTS={url}", CREDENTIALS[urlsplit(url).scheme]
    text = str(error)
    reason = text.partition("\n")[0].removesuffix(".")
    if MACHINE_CREDENTIALS.search(text):
        return StorageUnusable(
            f"{name} needs credentials and none were found; set {variables}, or run where the "
            "cloud gives them to the machine."
        )
    if isinstance(error, FileNotFoundError):
        return StorageUnusable(
            f"{name}: there is no such bucket or container; create it, or name another."
        )
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "AccessDenied" in text:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return StorageUnusable(
            f"{name}: the store refuses access ({code[1] if code else 'denied'}); check "
            f"{variables}, and that they may list, read, write and delete there."
        )
    if UNREACHABLE.search(text):
        return StorageError(
            f"{name} cannot be reached ({reason}); check that it runs and, if one is set, its "
            "endpoint."
        )
    return StorageUnusable(f"{name} cannot be used ({reason}); check {variables}.")
