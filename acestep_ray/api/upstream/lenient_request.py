"""A body of POST /release_task -> an admitted job.

The native check and the native rules decide what is legal. If a song can be made without a value
that they refuse, the value is left out here, with a warning instead of an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import FieldError, invalid_values
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.generate_request import GenerateRequest, api_name
from acestep_ray.api.request.job_rules import JobDraft
from acestep_ray.api.request.validation import ValidatedRequest, check, field_error
from acestep_ray.api.routes.accept import admit_request
from acestep_ray.api.routes.source_takes import TakeGone, copy_takes, find_takes, with_takes
from acestep_ray.api.upstream.audio_paths import find_takes_by_path, no_such_take
from acestep_ray.api.upstream.lenient_fields import LenientFields, read_fields
from acestep_ray.decoder.protocol import WINDOW_TASKS
from acestep_ray.planner.duration import is_sung
from acestep_ray.settings import Limits

_DECISIVE = frozenset(
    (
        *("caption", "lyrics", "instruction", "task_type", "audio_code_string"),
        *("track_name", "track_classes"),
        *("src_audio", "reference_audio", "src_audio_path", "reference_audio_path"),
        *("src_job_id", "src_take", "reference_job_id", "reference_take"),
    )
)
"""Without the values of these fields it would be another song: an error in them stays an error."""
_OTHER_WORK = ("analysis_only", "full_analysis_only", "extract_codes_only")
_LM_DEFAULTS = {"lm_temperature": 0.85, "lm_cfg_scale": 2.5, "lm_top_p": 0.9}
"""Upstream's defaults that differ from those of the native request."""
_TASK = ("task_type", "taskType")
_FOR_WINDOWS = frozenset(
    {
        *("repaint_mode", "repaintMode", "repaint_strength", "repaintStrength"),
        *("chunk_mask_mode", "chunkMaskMode"),
        *("repainting_start", "repaintingStart", "repainting_end", "repaintingEnd"),
    }
)
_FOR_COVERS = frozenset({"cover_noise_strength", "coverNoiseStrength"})
_NOT_WRITTEN = {
    "sample_query": "The language model does not write songs from a description yet (sample_query):"
    " {instead}.",
    "sample_mode": "The language model does not invent songs yet (sample_mode): the song is made "
    "from what was sent.",
    "use_format": "use_format is not done yet: caption and lyrics are used as they were sent.",
    "global_caption": "global_caption is not used yet: {instead}.",
}


@dataclass(frozen=True)
class AdmittedTask:
    """``body`` contains only the files that the job uses."""

    draft: JobDraft
    checked: ValidatedRequest
    body: Body


async def admit_task(body: Body, folder: Path, context: AppContext) -> AdmittedTask:
    """Check a request of upstream's API. ``folder`` holds its files.

    Raises Problem: 400 for paths of audio, 422 for unusable values of fields that decide what the
    song is, 503 if an engine is not ready yet.
    """
    limits = context.settings.limits
    lenient = read_fields(body.fields)
    instead = _use_description(lenient)
    body = replace(body, fields=_for_task(lenient.fields), form=False)
    checked = _fit_seeds(_soften(check(body, limits)))
    checked = _report_unwritten(checked, lenient, instead, limits)
    checked, takes = await find_takes(checked, body.files, context)
    checked, by_path = await find_takes_by_path(checked, {*body.files, *takes}, context)
    takes |= by_path
    body = with_takes(body, takes, folder)
    for _ in GenerateRequest.model_fields:
        draft, found = await admit_request(_with_defaults(checked), body, context)
        left_out = [one for one in found.errors.values() if _may_be_left_out(one, checked)]
        if not left_out:
            break
        checked = _leave_out(checked, left_out)
    if found.errors:
        raise invalid_values(list(found.errors.values()))
    try:
        body = await copy_takes(takes, draft, body, context)
    except TakeGone as gone:
        if gone.named_by.endswith("_path"):
            raise no_such_take(gone.named_by) from None
        raise invalid_values([field_error(gone.named_by, str(gone), limits)]) from None
    # A client may send a source with every request; one that is not used need not be audio.
    files = {k: v for k, v in body.files.items() if draft.wants_source or k != "src_audio"}
    return AdmittedTask(draft, checked, replace(body, files=files))


def _use_description(lenient: LenientFields) -> dict[str, str]:
    """Use a description as the caption if there is no caption: it describes the song.

    Returns what is done instead, for the warnings.
    """
    instead = {}
    for name in ("sample_query", "global_caption"):
        text = lenient.asked.get(name)
        if text is None:
            continue
        instead[name] = "the caption is used"
        if "caption" not in lenient.sent:
            lenient.fields["caption"] = text
            lenient.sent.add("caption")
            instead[name] = "its text is used as the caption"
    return instead


def _for_task(fields: dict[str, object]) -> dict[str, object]:
    """The fields without those that have no effect for the task in upstream's server either. There
    is no warning, because some clients send them with every request."""
    levels = [fields, *(value for value in fields.values() if isinstance(value, dict))]
    tasks = [level[name] for level in levels for name in _TASK if name in level]
    task = str(tasks[0]).strip().lower() if tasks else "text2music"
    unheard = (frozenset() if task in WINDOW_TASKS else _FOR_WINDOWS) | (
        frozenset() if task == "cover" else _FOR_COVERS
    )
    return {name: value for name, value in fields.items() if name not in unheard}


def _report_unwritten(
    checked: ValidatedRequest, lenient: LenientFields, instead: dict[str, str], limits: Limits
) -> ValidatedRequest:
    """Warn about what the language model cannot do yet. Fields that ask for something other than a
    song are errors."""
    warnings = list(lenient.warnings)
    for name, sentence in _NOT_WRITTEN.items():
        if name in lenient.asked:
            warnings.append(sentence.format(instead=instead.get(name, "")))
    request = checked.request
    if "instrumental" in lenient.asked and is_sung(request.lyrics):
        warnings.append("The lyrics are not sung: instrumental is true.")
        request = request.model_copy(update={"lyrics": ""})
    errors = [
        field_error(name, f"{name} asks for something other than a song.", limits)
        for name in _OTHER_WORK
        if name in lenient.asked
    ]
    return replace(
        checked,
        request=request,
        errors=(*checked.errors, *errors),
        warnings=(*warnings, *checked.warnings),
    )


def _soften(checked: ValidatedRequest) -> ValidatedRequest:
    """Leave out values that are unreadable or not legal, if a song can be made without them."""
    left_out = [error for error in checked.errors if error.field not in _DECISIVE]
    kept = tuple(error for error in checked.errors if error.field in _DECISIVE)
    return _leave_out(replace(checked, errors=kept), left_out)


def _may_be_left_out(error: FieldError, checked: ValidatedRequest) -> bool:
    return error.field in checked.sent and error.field not in _DECISIVE


def _leave_out(checked: ValidatedRequest, errors: Iterable[FieldError]) -> ValidatedRequest:
    """Set the fields of these errors to their defaults, with warnings."""
    names = {error.field for error in errors}
    defaults = {
        attribute: info.default
        for attribute, info in GenerateRequest.model_fields.items()
        if api_name(attribute) in names
    }
    return replace(
        checked,
        request=checked.request.model_copy(update=defaults),
        sent=checked.sent - names,
        warnings=(*checked.warnings, *(f"{e.detail} The default is used." for e in errors)),
    )


def _fit_seeds(checked: ValidatedRequest) -> ValidatedRequest:
    """As many seeds as takes, as in upstream's API: missing seeds are drawn, and more seeds are not
    used."""
    request = checked.request
    takes, seeds = request.batch_size, request.seed
    if request.use_random_seed or not takes or len(seeds) in (1, takes):
        return checked
    fitted = (*seeds, *((-1,) * takes))[:takes]
    text = f"seed lists {len(seeds)} seeds, but batch_size is {takes}: "
    text += "the rest are drawn." if len(seeds) < takes else f"the first {takes} are used."
    return replace(
        checked,
        request=request.model_copy(update={"seed": fitted}),
        warnings=(*checked.warnings, text),
    )


def _with_defaults(checked: ValidatedRequest) -> ValidatedRequest:
    """Upstream's defaults for what was not sent. They do not count as sent: no warning names
    them."""
    request = checked.request
    if not request.use_5hz_lm:
        return checked
    update: dict[str, object] = {n: v for n, v in _LM_DEFAULTS.items() if n not in checked.sent}
    if "use_cot_caption" not in checked.sent:
        # If all metadata are given, the language model writes no text and so no caption.
        metadata = (*(request.bpm, request.key_scale, request.time_signature, request.duration),)
        update["use_cot_caption"] = not all(metadata)
    return replace(checked, request=request.model_copy(update=update))
