"""What the language model (LM) has to do for a request of upstream's API.

Upstream's server runs the LM for every new song: it writes the song's text if that is asked for,
and otherwise at least the missing metadata and a new caption. Codes are only for ``thinking``.
"""

from dataclasses import replace

from acestep_ray.api.request.engine_choice import NoSuchModel, choose_planner
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.song_writing import writing_field
from acestep_ray.api.request.validation import ValidatedRequest
from acestep_ray.planner.duration import is_sung
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.replicas.deployed import Deployed

_LM_DEFAULTS = {"lm_temperature": 0.85, "lm_cfg_scale": 2.5, "lm_top_p": 0.9}
"""Upstream's defaults that differ from those of the native request."""


def settle_texts(checked: ValidatedRequest, deployed: Deployed) -> ValidatedRequest:
    """Decide between texts that contradict each other, with warnings: the native rules refuse them.

    A sample replaces prompt and lyrics, as in upstream's server. What the LM cannot write is left
    out, except a sample without a planner: nothing would describe that song.
    """
    request = checked.request
    asked = writing_field(request)
    if asked == "use_format":
        checked = _settle_format(checked, deployed)
    elif asked and _new_song(request):
        checked = _settle_sample(checked)
    elif asked:
        checked = _without_sample(checked, asked)
    request = checked.request
    if request.instrumental and is_sung(request.lyrics) and not _is_sample(request):
        warning = "The lyrics are not sung: instrumental is true."
        checked = _changed(checked, {"lyrics": ""}, warning)
    return checked


def with_defaults(checked: ValidatedRequest, deployed: Deployed) -> ValidatedRequest:
    """Upstream's defaults for what was not sent. They do not count as sent: no warning names
    them."""
    request, sent = checked.request, checked.sent
    update: dict[str, object] = {}
    if completes_metadata(checked, deployed):
        update = {"use_5hz_lm": True, "infer_type": "dit"}
    elif not (request.use_5hz_lm or writing_field(request)):
        # Without the LM its choices are what was asked for, unless it is to write a caption.
        made = {"use_cot_language"} | (set() if request.use_cot_caption else {"use_cot_caption"})
        return replace(checked, sent=sent - made)
    update |= {name: value for name, value in _LM_DEFAULTS.items() if name not in sent}
    if writing_field(request):
        # The LM writes the whole text anyway.
        update |= {"use_cot_caption": False, "use_cot_language": None}
        sent = sent - {"use_cot_caption", "use_cot_language"}
    else:
        if "use_cot_caption" not in sent:
            update["use_cot_caption"] = not _all_metadata(request)
        if request.use_cot_language:
            # Upstream's default, which clients send too: a language that was sent is the song's.
            update["use_cot_language"] = None
    return replace(checked, request=request.model_copy(update=update), sent=sent)


def completes_metadata(checked: ValidatedRequest, deployed: Deployed) -> bool:
    """Whether the LM writes a caption and the missing metadata of a song without ``thinking``.

    As in upstream's server, only if it is loaded: no planner is started for it. A client that wants
    its own caption sends ``use_cot_caption: false``.
    """
    request = checked.request
    seconds = request.duration
    return (
        not (request.use_5hz_lm or writing_field(request))
        and _new_song(request)
        and (request.use_cot_caption or "use_cot_caption" not in checked.sent)
        and request.infer_type is None
        and not _all_metadata(request)
        and (seconds is None or seconds >= DURATION_RANGE[0])
        and _lm_is_loaded(checked, deployed)
    )


def _lm_is_loaded(checked: ValidatedRequest, deployed: Deployed) -> bool:
    if not deployed.planners:
        return False
    request = checked.request
    backend = request.lm_backend if "lm_backend" in checked.sent else None
    try:
        planner, _ = choose_planner(deployed, request.lm_model_path, backend)
    except NoSuchModel:
        return False
    return deployed.state(planner) == "ready"


def _new_song(request: GenerateRequest) -> bool:
    return request.new_song and not request.codes


def _all_metadata(request: GenerateRequest) -> bool:
    """Whether no metadata are missing: then the LM writes no text, and so no caption."""
    return all((request.bpm, request.key_scale, request.time_signature, request.duration))


def _is_sample(request: GenerateRequest) -> bool:
    return writing_field(request) in ("sample_query", "sample_mode")


def _settle_format(checked: ValidatedRequest, deployed: Deployed) -> ValidatedRequest:
    request = checked.request
    if not _new_song(request):
        why = "audio codes came" if request.codes else f"it writes nothing for {request.task}"
    elif not (deployed.planners or request.use_5hz_lm):
        why = "none is deployed"
    else:
        return checked
    warning = f"use_format needs the language model, and {why}: the texts are used as sent."
    return _changed(checked, {"use_format": False}, warning)


def _settle_sample(checked: ValidatedRequest) -> ValidatedRequest:
    """The description decides. Without one, a caption is the description."""
    request = checked.request
    update: dict[str, object] = {"use_format": False}
    warnings = []
    if caption := request.caption.strip():
        update["caption"] = ""
        if request.sample_query.strip():
            warnings.append("prompt is not used: the LM writes one from sample_query.")
        else:
            update["sample_query"] = caption
            warnings.append("The LM writes the song from prompt: sample_mode has no sample_query.")
    if is_sung(request.lyrics):
        update["lyrics"] = ""
        warnings.append("lyrics are not used: the LM writes them from the description.")
    return _changed(checked, update, *warnings)


def _without_sample(checked: ValidatedRequest, asked: str) -> ValidatedRequest:
    """A description is never lost: it is the caption, if there is none."""
    request = checked.request
    update: dict[str, object] = {"sample_query": "", "sample_mode": False}
    instead = "the song is made from what was sent"
    if request.sample_query.strip() and not request.caption.strip():
        update["caption"] = request.sample_query
        instead = "its text is used as the caption"
    why = "audio codes" if request.codes else request.task
    return _changed(checked, update, f"{asked}: the LM writes no text for {why}; {instead}.")


def _changed(
    checked: ValidatedRequest, update: dict[str, object], *warnings: str
) -> ValidatedRequest:
    """With other values of these fields, which no longer count as sent."""
    return replace(
        checked,
        request=checked.request.model_copy(update=update),
        sent=checked.sent - update.keys(),
        warnings=(*checked.warnings, *warnings),
    )
