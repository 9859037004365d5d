"""Which of the deployed engines serve a request."""

from collections.abc import Collection, Iterable

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.song_writing import writing_field, writing_of
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.decoder.protocol import DecoderDescription, Task
from acestep_ray.planner.prompts import has_content
from acestep_ray.planner.protocol import PlannerDescription, PlanParameters, Writing
from acestep_ray.replicas.deployed import Deployed

_FOR_CODES = frozenset({"lm_cfg_scale", "lm_negative_prompt", "lm_repetition_penalty"})
"""Fields that change only how audio codes are written."""
_CHOICES_OF_TEXT = ("use_cot_caption", "use_cot_language")
"""Fields that let the LM choose what it chooses anyway if it writes the song's text."""


class NoSuchModel(Exception):
    """No deployed engine is suitable. ``field``: the field that asked for it. The message lists the
    deployed ones; ``legal`` lists them in words that complete "FIELD must be"."""

    def __init__(self, field: str, message: str, legal: str) -> None:
        super().__init__(message)
        self.field = field
        self.legal = legal


def choose_decoder(deployed: Deployed, model: str | None, task: Task) -> DecoderDescription:
    """The first decoder of that model (None: of any) that can do the task.

    Raises NoSuchModel, or Problem 503 if no decoder is ready yet.
    """
    if not deployed.decoders or (model is None and not deployed.default_known):
        raise _not_ready("decoder", deployed)
    named = [d for d in deployed.decoders if model in (None, d.model)]
    named = named or [d for d in deployed.decoders if _same(d.model, model or "")]
    if not named and any(_same(one, model or "") for one in deployed.unknown):
        raise _not_ready("decoder of this model", deployed)
    if not named:
        known = list(dict.fromkeys(d.model for d in deployed.decoders))
        raise NoSuchModel(
            "model",
            f"model {_last(model or '')!r} is not deployed; deployed: {', '.join(known)}.",
            f"{one_of(known)}, or null",
        )
    able = [d for d in named if task in d.tasks]
    if not able and model is None and deployed.unknown:
        raise _not_ready(f"decoder for {task}", deployed)
    if not able:
        what = "; ".join(
            dict.fromkeys(f"{d.model} does {', '.join(d.tasks)}" for d in deployed.decoders)
        )
        raise NoSuchModel(
            "task_type",
            f"task_type {task} is not supported by "
            f"{named[0].model if model else 'the deployed model'}: {what}.",
            one_of(dict.fromkeys(task for d in named for task in d.tasks)),
        )
    return able[0]


def choose_planner(
    deployed: Deployed, model: str | None, backend: str | None, needed_by: str = ""
) -> tuple[PlannerDescription, str]:
    """The first planner that serves that LM checkpoint (None: any), if possible with that backend
    (None: any).

    Returns it with the deployed name of the checkpoint ("" for None). Raises NoSuchModel, or
    Problem 503 if no planner is ready yet; its text names the field ``needed_by``.
    """
    if not deployed.planners:
        raise _not_ready("planner", deployed, needed_by)
    found = [
        (planner, name if model is not None else "")
        for planner in deployed.planners
        for name in (planner.models or ("",))
        if model is None or _same(name, model)
    ]
    if not found:
        known = list(dict.fromkeys(n for p in deployed.planners for n in p.models))
        raise NoSuchModel(
            "lm_model_path",
            f"lm_model_path {_last(model or '')!r} is not deployed; deployed: {', '.join(known)}.",
            f"{one_of(known)}, or null",
        )
    return next((one for one in found if one[0].engine == backend), found[0])


def one_of(words: Iterable[str]) -> str:
    """``text2music, cover or repaint``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _not_ready(engine: str, deployed: Deployed, needed_by: str = "") -> Problem:
    why = " ".join(deployed.reasons)
    need = f"{needed_by} needs the language model. " if needed_by else ""
    return Problem(
        ProblemCode.NOT_READY,
        f"{need}No {engine} is up yet; try again in a few seconds. {why}".rstrip(),
        headers={"Retry-After": "5"},
    )


def _last(name: str) -> str:
    """A checkpoint's name without its folder, which clients of the reference server also send."""
    return name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2][:100]


def _same(name: str, asked: str) -> bool:
    return _last(name).lower() == _last(asked).lower()


def plan_with(
    request: GenerateRequest,
    sent: frozenset[str],
    has_codes: bool,
    deployed: Deployed,
    found: ValidationReport,
    *,
    plan_per_take: bool,
) -> PlanParameters | None:
    """How the LM has to plan; None if it does not plan, with a warning if the client asked for it.

    It plans only new songs, as in the reference server; codes in the request replace its plan. If
    it only has to write the song's text, the plan has metadata and no codes. Raises Problem 503 if
    it is needed and no planner is ready yet.
    """
    new_song = request.new_song
    if request.infer_type == "llm_dit" and new_song and not (has_codes or request.use_5hz_lm):
        found.refuse(
            "infer_type",
            "infer_type llm_dit needs audio codes: give audio_code_string, or set use_5hz_lm to "
            "true.",
        )
    writing = writing_of(request, has_codes, found)
    runs = bool(writing) or (request.use_5hz_lm and new_song and not has_codes)
    chosen = None
    if runs or (request.lm_model_path is not None and deployed.planners):
        chosen = _choose(request, sent, deployed, found)  # a wrong name is always refused
    if not runs:
        _warn_unused(request, sent, has_codes, found)
        return None
    if chosen is None:
        return None
    planner, name = chosen
    if "lm_backend" in sent and planner.engine not in ("mock", request.lm_backend):
        where = f" for {name}" if name else ""
        found.warn(
            f"lm_backend {request.lm_backend} is not deployed{where}; "
            f"{planner.engine} serves the LM."
        )
    if not request.use_5hz_lm:
        _warn_not_used(sent & _FOR_CODES, found)
    elif request.lm_cfg_scale <= 1 and has_content(request.lm_negative_prompt):
        found.warn("lm_negative_prompt is not used: lm_cfg_scale is not above 1.")
    metadata = (request.bpm, request.key_scale, request.time_signature, request.duration)
    if writing:
        if made := [name for name in _CHOICES_OF_TEXT if getattr(request, name)]:
            found.warn(
                f"Not used with {writing_field(request)}, where the LM writes the whole text: "
                f"{', '.join(made)}."
            )
    elif request.use_cot_caption and all(metadata):
        found.warn(
            "use_cot_caption is not used: with bpm, key_scale, time_signature and audio_duration "
            "given the LM writes no caption."
        )
    return PlanParameters.model_validate(
        {
            **_lm_values(request),
            "model": name,
            "backend": planner.engine,
            "planner": planner.deployment,
            "infer_type": (request.infer_type or "llm_dit") if request.use_5hz_lm else "dit",
            "writing": writing,
            "use_cot_caption": request.use_cot_caption and not writing,
            "use_cot_language": _language_choice(request, sent, writing),
            "plan_per_take": plan_per_take,
            "cfg_scale": max(1.0, request.lm_cfg_scale),
            "top_k": request.lm_top_k or None,
            "top_p": None
            if request.lm_top_p is None or request.lm_top_p >= 1
            else request.lm_top_p,
        }
    )


def _language_choice(
    request: GenerateRequest, sent: frozenset[str], writing: Writing | None
) -> bool | None:
    """Who chooses the language, as of PlanParameters. A language that was sent is the song's, en
    too; only for a text that the LM writes, en, which clients send by default, is no choice."""
    chosen = request.use_cot_language
    named = "vocal_language" in sent and request.vocal_language != "unknown"
    return False if chosen is None and named and not writing else chosen


def _lm_values(request: GenerateRequest) -> dict[str, object]:
    """The fields ``lm_...`` by the names of PlanParameters."""
    return {name.removeprefix("lm_"): value for name, value in request if name.startswith("lm_")}


def _choose(
    request: GenerateRequest, sent: frozenset[str], deployed: Deployed, found: ValidationReport
) -> tuple[PlannerDescription, str] | None:
    backend = request.lm_backend if "lm_backend" in sent else None
    needed_by = "" if request.use_5hz_lm else writing_field(request)
    try:
        return choose_planner(deployed, request.lm_model_path, backend, needed_by)
    except NoSuchModel as error:
        found.refuse(error.field, str(error), error.legal)
        return None


def _warn_unused(
    request: GenerateRequest, sent: frozenset[str], has_codes: bool, found: ValidationReport
) -> None:
    if request.use_5hz_lm:
        edits = request.flow_edit_morph and request.task == "text2music"
        work = "flow_edit_morph" if edits else request.task
        why = "audio codes came" if has_codes else f"it plans nothing for {work}"
        found.warn(f"The LM is skipped (use_5hz_lm): {why}.")
        return
    _warn_not_used({name for name in sent if name.startswith(("lm_", "use_cot_"))}, found)


def _warn_not_used(names: Collection[str], found: ValidationReport) -> None:
    if names:
        found.warn(f"Not used without use_5hz_lm: {', '.join(sorted(names))}.")
