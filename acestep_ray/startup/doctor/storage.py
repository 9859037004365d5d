"""The audio storage, the folders that are written, and the room on their disks."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from acestep_ray.artifacts.bucket import ENDPOINTS
from acestep_ray.artifacts.local_folder import root_of
from acestep_ray.startup.checks import is_loopback
from acestep_ray.startup.doctor.folders import existing, why_unwritable
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.ray_node import folder_for_sockets
from acestep_ray.startup.refusals import refuse_missing_adapters, refuse_unusable_storage

LEAST_FREE = 1_000_000_000
"""Bytes. The 600 s takes of one job as WAV are up to 0.9 GB, an uploaded source 0.1 GB."""
LEAST_FILES = 1000
SHARED_DISKS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph")
"""File systems of other machines: SQLite's locks and its WAL need memory that its users share."""
MEMORY_DISKS = ("tmpfs", "ramfs")


def check_audio_storage(setup: Setup) -> Iterator[Result]:
    """See Check."""
    refused = list(refusal(lambda: refuse_unusable_storage(setup.checked)))
    yield from refused
    yield from refusal(lambda: refuse_missing_adapters(setup.checked))
    for root in setup.settings.audio_roots:
        if not root.expanduser().is_dir():
            yield warning(
                f"ACESTEP_AUDIO_ROOTS names {root}, which is not a folder: clients can send no "
                "path in it; make it, or take it out."
            )
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
    if setup.settings.downloads == "redirect" and is_loopback(urlsplit(endpoint).hostname or ""):
        yield warning(
            f"clients are sent to {endpoint} for audio, where other machines reach only "
            "themselves: name the store by an address that clients know, or set "
            "ACESTEP_DOWNLOADS=stream."
        )
    if not refused:
        how = "written" if root_of(setup.settings.artifacts_url) else "written, read and deleted"
        yield ok(f"audio can be {how} in {setup.settings.artifacts_url}")


def check_disks(setup: Setup) -> Iterator[Result]:
    """See Check."""
    settings = setup.settings
    temporary = Path(folder_for_sockets())
    folders = {existing(settings.data): f"the data folder {settings.data}"}
    if (root := root_of(settings.artifacts_url)) is not None:
        folders.setdefault(existing(root), f"the audio's folder {root}")
    folders.setdefault(temporary, f"the folder for temporary files {temporary}")
    seen: set[int] = set()
    shown = []
    for folder, what in folders.items():
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(folder).free
        shown.append(f"{free / 1e9:,.1f} GB free for {what}")
        yield from _room(folder, what, free)
    if settings.store_on_one_node:
        yield from _kind_of_disk(existing(settings.data))
    if why := why_unwritable(temporary):
        yield problem(
            f"temporary files cannot be made in {temporary} ({why}): name a folder that this user "
            "may write in TMPDIR."
        )
    yield ok("; ".join(shown))


def file_system(folder: Path) -> str:
    """Name of the kind of file system that ``folder`` is on; empty if it is not known."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    path = folder.resolve()
    return next((mounts[one] for one in (path, *path.parents) if one in mounts), "")


def _room(folder: Path, what: str, free: int) -> Iterator[Result]:
    if free < LEAST_FREE:
        yield warning(
            f"only {free / 1e6:,.0f} MB are free for {what}, and jobs fail when it is full: make "
            "room, keep jobs for less time (ACESTEP_JOBS__KEEP), or use another disk."
        )
    files = os.statvfs(folder)
    if files.f_files and files.f_favail < LEAST_FILES:
        yield warning(
            f"only {files.f_favail} more files can be made for {what} (its inodes are used up): "
            "delete files there, or use another disk."
        )


def _kind_of_disk(folder: Path) -> Iterator[Result]:
    kind = file_system(folder)
    if kind in SHARED_DISKS:
        yield warning(
            f"the data folder is on a disk of another machine ({kind}), where SQLite may lose "
            "jobs: use a disk of this machine, or Redis (ACESTEP_STORE)."
        )
    if kind in MEMORY_DISKS:
        yield warning(
            f"the data folder is in memory ({kind}), and jobs and audio are lost when the machine "
            "stops: name another in ACESTEP_DATA."
        )
