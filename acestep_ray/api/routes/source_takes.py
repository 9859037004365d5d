"""Takes of earlier jobs as source or reference audio, without a download and an upload.

A request names one by its job and number (here), or by its path (upstream/audio_paths.py). After
that it is treated as a file of the form.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import FieldError
from acestep_ray.api.request.aliases import FILES
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.folder import Folder
from acestep_ray.api.request.job_rules import JobDraft
from acestep_ray.api.request.multipart_parts import Upload
from acestep_ray.api.request.validation import ValidatedRequest, field_error
from acestep_ray.api.routes.job_view import UNREADABLE
from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.jobs.result import JobResult, Take
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound


@dataclass(frozen=True)
class SourceTake:
    """``named_by``: the field of the request that names the take."""

    named_by: str
    take: Take


class TakeGone(Exception):
    """The audio of a take is no longer in storage. ``named_by``: the field that names it."""

    def __init__(self, named_by: str) -> None:
        super().__init__(f"{named_by} names a take whose audio is no longer stored.")
        self.named_by = named_by


async def find_takes(
    checked: ValidatedRequest, files: Container[str], context: AppContext
) -> tuple[ValidatedRequest, dict[str, SourceTake]]:
    """The takes that jobs and numbers name, by the field of the file. A file that was sent is used
    instead of a take, and a take instead of a path; what is not used is no longer in the request.

    The errors of the returned request name takes that do not exist. Raises StoreUnavailable.
    """
    takes: dict[str, SourceTake] = {}
    for field in FILES:
        job, number, path = _names(field)
        if getattr(checked.request, job) is None:
            if number in checked.sent and not any(error.field == job for error in checked.errors):
                checked = _without(checked, number, f"{number} is not used: {job} was not sent.")
            continue
        if field in files:
            checked = _without(checked, job, f"{job} is not used: the file {field} came too.")
            continue
        if path in checked.sent:
            checked = _without(checked, path, f"{path} is not used: {job} came too.")
        found = await _takes(job, checked, context)
        if isinstance(found, FieldError):
            checked = replace(checked, errors=(*checked.errors, found))
            continue
        many = f"The job has {len(found)} take{'' if len(found) == 1 else 's'}"
        if any(error.field == number for error in checked.errors):
            checked = _explained(checked, number, f"{many}.")
            continue
        wanted = getattr(checked.request, number)
        take = next((take for take in found if take.index == wanted - 1), None)
        if take is None:
            error = _refused(number, f"{many}; got {wanted}.", context)
            checked = replace(checked, errors=(*checked.errors, error))
        else:
            takes[field] = SourceTake(job, take)
    return checked, takes


def with_takes(body: Body, takes: Mapping[str, SourceTake], folder: Folder) -> Body:
    """The body, with the takes as files of the form; ``copy_takes`` copies them to their places in
    ``folder``."""
    uploads = {
        field: Upload(folder / field, one.take.bytes, one.take.sha256, one.named_by)
        for field, one in takes.items()
    }
    return replace(body, files={**body.files, **uploads})


async def copy_takes(
    takes: Mapping[str, SourceTake], draft: JobDraft, body: Body, context: AppContext
) -> Body:
    """Copy the takes that the job uses out of the storage; the body no longer has the others.

    Raises TakeGone and StorageError.
    """
    wanted = {"src_audio": draft.wants_source, "reference_audio": draft.wants_reference}
    files = {name: one for name, one in body.files.items() if wanted[name] or name not in takes}
    for field in takes.keys() & files.keys():
        try:
            key = takes[field].take.key
            await context.sources.fetch(context.artifacts, key, files[field].path)
        except ArtifactMissing:
            raise TakeGone(takes[field].named_by) from None
    return replace(body, files=files)


def _names(field: str) -> tuple[str, str, str]:
    """The fields for job, number and path of a file: ``src_job_id``, ``src_take``,
    ``src_audio_path``."""
    prefix = field.removesuffix("_audio")
    return f"{prefix}_job_id", f"{prefix}_take", f"{field}_path"


async def _takes(
    job: str, checked: ValidatedRequest, context: AppContext
) -> tuple[Take, ...] | FieldError:
    """The takes of the job that the field ``job`` names, or why there are none."""
    try:
        record = (await context.service.get(getattr(checked.request, job))).record
    except JobNotFound:
        return _refused(job, "There is no such job.", context)
    except JobExpired:
        return _refused(job, "The job was deleted or has expired, and its audio with it.", context)
    if record.result is None:
        why = f"The job is {record.status}, and only a succeeded job has takes."
        return _refused(job, why, context)
    try:
        return tuple(JobResult.model_validate_json(record.result).takes)
    except ValueError:  # pydantic's
        return _refused(job, UNREADABLE, context)


def _refused(name: str, why: str, context: AppContext) -> FieldError:
    return field_error(name, f"{name} is refused: {why}", context.settings.limits)


def _explained(checked: ValidatedRequest, name: str, more: str) -> ValidatedRequest:
    """The request with one more sentence in the error about a field."""
    errors = (
        replace(error, detail=f"{error.detail} {more}") if error.field == name else error
        for error in checked.errors
    )
    return replace(checked, errors=tuple(errors))


def _without(checked: ValidatedRequest, name: str, warning: str) -> ValidatedRequest:
    """The request without a field, whose default is None, and with a warning."""
    update = {} if name.endswith("_take") else {name: None}
    return replace(
        checked,
        request=checked.request.model_copy(update=update),
        sent=checked.sent - {name},
        warnings=(*checked.warnings, warning),
    )
