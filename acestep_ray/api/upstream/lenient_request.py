"""A body of POST /release_task -> a job that can be queued.

The native check and the native rules decide what is legal. If a song can be made without a value
that they refuse, the value is left out here, with a warning instead of an error. The warning names
what is used instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import FieldError, invalid_values
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.engine_choice import NoSuchModel, choose_decoder
from acestep_ray.api.request.folder import Folder
from acestep_ray.api.request.generate_request import GenerateRequest, api_name
from acestep_ray.api.request.job_rules import JobDraft
from acestep_ray.api.request.unsupported_fields import REFUSED
from acestep_ray.api.request.validation import ValidatedRequest, check, field_error
from acestep_ray.api.routes.accept import admit_request, deployed_for, plan_refusal
from acestep_ray.api.routes.source_takes import TakeGone, copy_takes, find_takes, with_takes
from acestep_ray.api.upstream.audio_paths import find_takes_by_path, no_such_take
from acestep_ray.api.upstream.language_model import (
    completes_metadata,
    settle_texts,
    with_defaults,
)
from acestep_ray.api.upstream.lenient_fields import LenientFields, read_fields
from acestep_ray.api.upstream.used_values import used_instead
from acestep_ray.decoder.protocol import WINDOW_TASKS
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.settings import Limits, Settings

_DECISIVE = frozenset(
    (
        *(
            "caption",
            "global_caption",
            "lyrics",
            "sample_query",
            "instruction",
            "task_type",
            "audio_code_string",
        ),
        *("track_name", "track_classes"),
        *("src_audio", "reference_audio", "src_audio_path", "reference_audio_path"),
        *("src_job_id", "src_take", "reference_job_id", "reference_take"),
    )
)
"""Without the values of these fields it would be another song: an error in them stays an error."""
_AUTOMATIC_SECONDS = 120.0
"""Length of a new song without the language model."""
_OTHER_WORK = ("analysis_only", "full_analysis_only", "extract_codes_only")
_TASK = ("task_type", "taskType")
_FOR_WINDOWS = frozenset(
    {
        *("repaint_mode", "repaintMode", "repaint_strength", "repaintStrength"),
        *("chunk_mask_mode", "chunkMaskMode"),
        *("repainting_start", "repaintingStart", "repainting_end", "repaintingEnd"),
    }
)
_FOR_COVERS = frozenset({"cover_noise_strength", "coverNoiseStrength"})


@dataclass(frozen=True)
class TaskDraft:
    """``body`` contains only the files that the job uses."""

    draft: JobDraft
    checked: ValidatedRequest
    body: Body


async def admit_task(body: Body, folder: Folder, context: AppContext) -> TaskDraft:
    """Check a request of upstream's API. ``folder`` holds its files.

    Raises Problem: 400 for paths of audio, 422 for unusable values of fields that decide what the
    song is, 503 if an engine is not ready yet.
    """
    limits = context.settings.limits
    lenient = read_fields(body.fields, limits.batch_size)
    body = replace(body, fields=_for_task(lenient.fields), form=False)
    checked, left_out = _soften(check(body, limits))
    checked = _fit_seeds(checked)
    checked = _with_reports(checked, lenient, limits)
    checked, takes = await find_takes(checked, body.files, context)
    checked, by_path = await find_takes_by_path(checked, {*body.files, *takes}, context)
    takes |= by_path
    body = with_takes(body, takes, folder)
    deployed = await deployed_for(checked, context)
    checked = settle_texts(_settle_global_caption(checked, deployed), deployed)
    for _ in GenerateRequest.model_fields:
        draft, found = await admit_request(with_defaults(checked, deployed), body, context)
        more = [one for one in found.errors.values() if _may_be_left_out(one, checked)]
        if not more:
            break
        checked = _leave_out(checked, more)
        left_out += more
    if found.errors:
        raise invalid_values(list(found.errors.values()))
    if completes_metadata(checked, deployed) and await plan_refusal(draft.spec, context):
        # Nobody asked for this plan: a song that is too long for it is made without it.
        draft = replace(draft, spec=draft.spec.model_copy(update={"plan": None}))
    draft = _with_upstreams_length(draft, context.settings)
    request = with_defaults(checked, deployed).request
    instead = (
        f"{error.detail} {used_instead(error.field, request, draft, deployed, context.settings)}"
        for error in left_out
    )
    warnings = tuple(dict.fromkeys((*draft.spec.warnings, *instead)))
    draft = replace(draft, spec=draft.spec.model_copy(update={"warnings": warnings}))
    try:
        body = await copy_takes(takes, draft, body, context)
    except TakeGone as gone:
        if gone.named_by.endswith("_path"):
            raise no_such_take(gone.named_by, "Its audio is no longer stored.") from None
        raise invalid_values([field_error(gone.named_by, str(gone), limits)]) from None
    # A client may send a source with every request; one that is not used need not be audio.
    files = {k: v for k, v in body.files.items() if draft.wants_source or k != "src_audio"}
    return TaskDraft(draft, checked, replace(body, files=files))


def _with_upstreams_length(draft: JobDraft, settings: Settings) -> JobDraft:
    """With upstream's length, if nothing says how long a new song is and the operator has set no
    default."""
    spec = draft.spec
    decode = spec.decode
    open_ended = decode.task == "text2music" and not (decode.codes or decode.edits_flow)
    open_ended = open_ended and decode.duration is None
    if spec.plan or not open_ended or "duration" in settings.defaults.model_fields_set:
        return draft
    seconds = min(_AUTOMATIC_SECONDS, settings.limits.duration)
    decode = decode.model_copy(update={"duration": seconds})
    return replace(draft, spec=spec.model_copy(update={"decode": decode}))


def _settle_global_caption(checked: ValidatedRequest, deployed: Deployed) -> ValidatedRequest:
    """Without a global caption, if the model does not read it: it is the caption then, if there is
    no caption, because it describes the song."""
    request = checked.request
    text = request.global_caption.strip()
    try:
        if not text or choose_decoder(deployed, request.model, request.task).lego_sft:
            return checked
    except NoSuchModel:
        return checked  # which the rules refuse, with the model's name
    update: dict[str, object] = {"global_caption": ""}
    sent, instead = checked.sent - {"global_caption"}, "the caption is used"
    if "caption" not in sent:
        update["caption"] = text
        sent, instead = sent | {"caption"}, "its text is used as the caption"
    warning = f"global_caption is not used, as the model makes whole songs: {instead}."
    return replace(
        checked,
        request=request.model_copy(update=update),
        sent=sent,
        warnings=(*checked.warnings, warning),
    )


def _for_task(fields: dict[str, object]) -> dict[str, object]:
    """The fields without those that have no effect for the task in upstream's server either. There
    is no warning, because some clients send them with every request."""
    levels = [fields, *(value for value in fields.values() if isinstance(value, dict))]
    tasks = [level[name] for level in levels for name in _TASK if name in level]
    task = str(tasks[0]).strip().lower() if tasks else "text2music"
    unheard = (frozenset() if task in WINDOW_TASKS else _FOR_WINDOWS) | (
        _FOR_COVERS if task == "text2music" else frozenset()
    )
    return {name: value for name, value in fields.items() if name not in unheard}


def _with_reports(
    checked: ValidatedRequest, lenient: LenientFields, limits: Limits
) -> ValidatedRequest:
    """With the warnings of the lenient reading. Fields that ask for something other than a song are
    errors."""
    errors = [
        field_error(name, f"{name} asks for something other than a song: {REFUSED[name]}.", limits)
        for name in _OTHER_WORK
        if name in lenient.asked
    ]
    return replace(
        checked,
        errors=(*checked.errors, *errors),
        warnings=(*lenient.warnings, *checked.warnings),
    )


def _soften(checked: ValidatedRequest) -> tuple[ValidatedRequest, list[FieldError]]:
    """Leave out values that are unreadable or not legal, if a song can be made without them.
    Returns their errors, too."""
    left_out = [error for error in checked.errors if error.field not in _DECISIVE]
    kept = tuple(error for error in checked.errors if error.field in _DECISIVE)
    return _leave_out(replace(checked, errors=kept), left_out), left_out


def _may_be_left_out(error: FieldError, checked: ValidatedRequest) -> bool:
    return error.field in checked.sent and error.field not in _DECISIVE


def _leave_out(checked: ValidatedRequest, errors: Iterable[FieldError]) -> ValidatedRequest:
    """Set the fields of these errors to their defaults."""
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
