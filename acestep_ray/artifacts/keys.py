"""Keys of a job's audio in artifact storage.

A take's key contains the attempt that made it, so that an attempt which lost its job can never
overwrite the takes of the present attempt.
"""

from acestep_ray.formats import FORMATS

TAKES = "takes"
SOURCES = "sources"


def take_key(job_id: str, attempt: int, index: int, format: str) -> str:
    """Key of take ``index`` (0-based) in ``format``, a name of FORMATS."""
    return f"{attempt_prefix(job_id, attempt)}/{index + 1}.{FORMATS[format].extension}"


def attempt_prefix(job_id: str, attempt: int) -> str:
    """Folder of the takes of one attempt."""
    return f"{takes_prefix(job_id)}/{attempt}"


def takes_prefix(job_id: str) -> str:
    """Folder of the takes of all attempts at a job."""
    return f"{TAKES}/{job_id}"


def source_key(job_id: str, role: str) -> str:
    """Key of a job's ingested audio; ``role``: source or reference."""
    return f"{sources_prefix(job_id)}/{role}.flac"


def sources_prefix(job_id: str) -> str:
    """Folder of a job's ingested audio."""
    return f"{SOURCES}/{job_id}"
