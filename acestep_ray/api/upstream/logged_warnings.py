"""The warnings of an accepted request in the server's log, for clients that do not show them."""

import logging
from collections.abc import Sequence

from acestep_ray.work_context import work_for

logger = logging.getLogger(__name__)


def log_warnings(job_id: str, warnings: Sequence[str]) -> None:
    """How many there are. They repeat what a user sent, so the log has their texts only with level
    debug; the job has them, too."""
    if not warnings:
        return
    with work_for(job_id=job_id):
        logger.warning("Warnings of the request, which its job lists: %d.", len(warnings))
        logger.debug("%s", " ".join(warnings))
