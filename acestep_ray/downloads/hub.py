"""Downloads from a hub by huggingface_hub, which resumes what was interrupted.

Its environment variables apply: HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE, HTTPS_PROXY.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from acestep_ray.downloads.catalogue import Part

LEFT_OUT = ["*.py", "*.md", "*.png", "*.jpg", ".gitattributes"]
"""Not needed: this service runs no code of a repository."""
RESERVE = 1_000_000_000
"""Bytes of the disk that a download leaves free."""


class _NoBar(tqdm):
    """Looking something up is no download."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"disable": True})  # type: ignore[no-untyped-call]


class DownloadError(Exception):
    """A download that did not succeed. The message is one sentence that names the cure."""


@dataclass(frozen=True)
class Wanted:
    """A part, what is known of it, and what is still missing. Sizes in bytes."""

    part: Part
    licence: str
    commit: str
    files: int
    size: int
    missing: int


def look_up(parts: Sequence[Part], checkpoints: Path) -> list[Wanted]:
    """Ask the hub for the sizes. Downloads nothing. Raises DownloadError."""
    return [_look_up(part, checkpoints) for part in parts]


def _look_up(part: Part, checkpoints: Path) -> Wanted:
    with _explained(part):
        info = HfApi().model_info(part.repository)
        found = snapshot_download(
            dry_run=True, tqdm_class=_NoBar, **_arguments(part, checkpoints, info.sha)
        )
    if not found:
        raise DownloadError(
            f"{part.repository} has no files {', '.join(part.patterns)}: it may have changed; "
            "download them by hand."
        )
    licence = (info.card_data.get("license") if info.card_data else None) or "not stated"
    return Wanted(
        part,
        str(licence),
        str(info.sha),
        len(found),
        sum(file.file_size or 0 for file in found),
        sum(file.file_size or 0 for file in found if file.will_download),
    )


def refuse_full_disk(wanted: Sequence[Wanted], checkpoints: Path) -> None:
    """Raise DownloadError if what is missing does not fit."""
    missing = sum(one.missing for one in wanted)
    existing = next(folder for folder in (checkpoints, *checkpoints.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if missing and missing + RESERVE > free:
        raise DownloadError(
            f"{gigabytes(missing)} are missing and {existing} has {gigabytes(free)} free, of which "
            f"{gigabytes(RESERVE)} stay free: choose another folder (--to) or free some space."
        )


def download(wanted: Wanted, checkpoints: Path) -> None:
    """Download what is missing of a part, with progress on stderr. Raises DownloadError."""
    with _explained(wanted.part):
        snapshot_download(**_arguments(wanted.part, checkpoints, wanted.commit))


def check(wanted: Wanted, checkpoints: Path) -> None:
    """Compare the checksums of a part's files with the hub's, and delete those that are wrong.
    Raises DownloadError."""
    part = wanted.part
    folder = checkpoints / part.folder
    with _explained(part):
        found = HfApi().verify_repo_checksums(
            part.repository, revision=wanted.commit, local_dir=folder
        )
    # In the checkpoints folder there are also files of other repositories with such names.
    wrong = [one["path"] for one in found.mismatches if _is_of(part, one["path"])]
    for path in wrong:
        (folder / path).unlink()
    if wrong:
        raise DownloadError(
            f"{', '.join(wrong)} of {part.repository} came with other contents than the hub "
            "states, and was deleted: download it again."
        )


def _is_of(part: Part, path: str) -> bool:
    """Whether the file is one that a download of the part brings."""
    if any(fnmatch(path, pattern) for pattern in LEFT_OUT):
        return False
    return not part.patterns or any(fnmatch(path, pattern) for pattern in part.patterns)


def gigabytes(size: int) -> str:
    """As text for people, of 10^9 bytes; small sizes in MB."""
    return f"{size / 1e9:.1f} GB" if size >= 50_000_000 else f"{size / 1e6:.1f} MB"


def _arguments(part: Part, checkpoints: Path, commit: str | None) -> dict[str, Any]:
    return {
        "repo_id": part.repository,
        "revision": commit,
        "local_dir": checkpoints / part.folder,
        "allow_patterns": list(part.patterns) or None,
        "ignore_patterns": LEFT_OUT,
    }


@contextmanager
def _explained(part: Part) -> Iterator[None]:
    """Errors of the library as DownloadError."""
    name, hub = part.repository, constants.ENDPOINT
    again = "run the same command again, and it goes on where it stopped"
    try:
        yield
    except GatedRepoError:
        reason = f"{name} wants its licence accepted at {hub}/{name}, and HF_TOKEN to be set"
    except RepositoryNotFoundError:
        reason = f"{hub} has no repository {name}, or it is private (HF_TOKEN)"
    except OfflineModeIsEnabled:
        reason = "HF_HUB_OFFLINE is set: unset it"
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = (
            f"{hub} answered {status} for {name}: try again later, or set HF_ENDPOINT to a mirror"
        )
    except (LocalEntryNotFoundError, DryRunError, httpx2.HTTPError) as error:
        cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
        what = str(cause).strip().partition("\n")[0] or type(cause).__name__
        reason = f"{hub} cannot be reached ({what}): {again}, or set HF_ENDPOINT to a mirror"
    except OSError as error:
        reason = f"{name} cannot be written ({error.strerror or error}): {again} afterwards"
    else:
        return
    raise DownloadError(f"{reason}.") from None
