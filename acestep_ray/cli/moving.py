"""What ``acestep-ray migrate-store`` does."""

import os

from pydantic import SecretStr

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.factory import sqlite_file
from acestep_ray.jobs.store.migration.migrate import migrate
from acestep_ray.settings.store_url import checked_store_url, store_kind
from acestep_ray.startup.checks import Refused


def move_jobs(source: str, target: str) -> str:
    """Copy the jobs from the store ``source``, sqlite:///FILE, to ``target``, redis://HOST:PORT/DB.

    Returns what to do next, in sentences. Raises Refused and StoreUnsuitable.
    """
    try:
        for url in (source, target):
            checked_store_url(SecretStr(url))
    except ValueError as error:
        raise Refused(f"{error}.") from error
    if [store_kind(url) for url in (source, target) if url] != ["sqlite", "redis"]:
        raise Refused("jobs are moved from SRC, sqlite:///FILE, to DST, redis://HOST:PORT/DB.")
    file, password = sqlite_file(source), os.environ.get("ACESTEP_STORE_PASSWORD")
    try:
        counts = migrate(file, target, password)
    except StoreUnavailable as error:
        raise Refused(str(error)) from error
    return (
        f"All {sum(counts.jobs.values()):,} jobs are there, {counts.jobs[Status.QUEUED]:,} of them "
        "queued. Start the service with ACESTEP_STORE set to it. The audio stays where it is: "
        "ACESTEP_ARTIFACTS (or ACESTEP_DATA) must name the same place as before. "
        f"{file} is left as it was; do not run a service on it any more."
    )
