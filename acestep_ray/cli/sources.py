"""Audio that a song starts from: a file of this machine, or a take of an earlier job."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SOURCE_FIELDS = ("src_audio", "src_job_id", "src_take")
REFERENCE_FIELDS = ("reference_audio", "reference_job_id", "reference_take")
_TAKE = re.compile(
    r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/(?P<take>[0-9]{1,4}))?", re.IGNORECASE
)


class UnknownSource(Exception):
    """It is neither; the message is a sentence."""


def source_fields(text: str, names: Sequence[str]) -> dict[str, Any]:
    """Fields of the API for ``text``, a file or JOB_ID[/TAKE].

    ``names``: those of the file, of the job, and of the take. Raises UnknownSource.
    """
    file_field, job_field, take_field = names
    if Path(text).is_file():
        return {file_field: Path(text)}
    if found := _TAKE.fullmatch(text):
        return {job_field: found["job"].lower(), take_field: int(found["take"] or 1)}
    raise UnknownSource(
        f"{text} is neither a file nor a take of a job, such as JOB_ID or JOB_ID/2."
    )
