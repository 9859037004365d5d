"""Whether and how the 5Hz LM is asked for a request."""

from acestep_ray.api.choose import NoSuchModel, choose_planner
from acestep_ray.api.fields import GenerateRequest
from acestep_ray.api.findings import Findings
from acestep_ray.api.service import Deployed
from acestep_ray.jobs.spec import LmSpec
from acestep_ray.planner.prompts import says_something
from acestep_ray.planner.protocol import PlannerDescription


def plan_with(
    request: GenerateRequest,
    sent: frozenset[str],
    has_codes: bool,
    deployed: Deployed,
    found: Findings,
) -> LmSpec | None:
    """How the LM is asked; None where it is not, with a warning where it was wanted.

    It plans new songs only (as the reference server has it), and codes stand in for its plan.
    Raises Problem 503 where it is needed and no planner is up yet.
    """
    new_song = request.task_type == "text2music"
    if request.infer_type == "llm_dit" and new_song and not (has_codes or request.use_5hz_lm):
        found.refuse(
            "infer_type",
            "infer_type llm_dit needs audio codes: give audio_code_string, or set use_5hz_lm to "
            "true.",
        )
    runs = request.use_5hz_lm and new_song and not has_codes
    chosen = None
    if runs or (request.lm_model_path is not None and deployed.planners):
        chosen = _choose(request, sent, deployed, found)  # a wrong name is told, used or not
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
    if request.lm_cfg_scale <= 1 and says_something(request.lm_negative_prompt):
        found.warn("lm_negative_prompt is not used: lm_cfg_scale is not above 1.")
    metadata = (request.bpm, request.key_scale, request.time_signature, request.audio_duration)
    if request.use_cot_caption and all(metadata):
        found.warn(
            "use_cot_caption is not used: with bpm, key_scale, time_signature and audio_duration "
            "given the LM writes no caption."
        )
    return LmSpec(
        model=name,
        backend=planner.engine,
        infer_type=request.infer_type or "llm_dit",
        temperature=request.lm_temperature,
        cfg_scale=max(1.0, request.lm_cfg_scale),
        negative_prompt=request.lm_negative_prompt,
        top_k=request.lm_top_k or None,
        top_p=None if request.lm_top_p is None or request.lm_top_p >= 1 else request.lm_top_p,
        repetition_penalty=request.lm_repetition_penalty,
        planner=planner.deployment,
    )


def _choose(
    request: GenerateRequest, sent: frozenset[str], deployed: Deployed, found: Findings
) -> tuple[PlannerDescription, str] | None:
    backend = request.lm_backend if "lm_backend" in sent else None
    try:
        return choose_planner(deployed, request.lm_model_path, backend)
    except NoSuchModel as error:
        found.refuse(error.field, str(error), error.legal)
        return None


def _warn_unused(
    request: GenerateRequest, sent: frozenset[str], has_codes: bool, found: Findings
) -> None:
    if request.use_5hz_lm:
        why = "audio codes came" if has_codes else f"it plans nothing for {request.task_type}"
        found.warn(f"The LM is skipped (use_5hz_lm): {why}.")
        return
    given = sorted(name for name in sent if name.startswith("lm_") or name == "use_cot_caption")
    if given:
        found.warn(f"Not used without use_5hz_lm: {', '.join(given)}.")
