"""What is used instead of a value that was left out, as a sentence for its warning."""

from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.job_rules import JobDraft
from acestep_ray.jobs.decode_cost import length_of
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.song_language import lm_chooses_language
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.settings import Settings

_METADATA = ("bpm", "key_scale", "time_signature")
_LM_ONLY = ("lm_", "use_cot_")
"""What the names of the language model's own fields begin with."""
LM_CHOOSES = "The language model chooses it."


def used_instead(
    name: str, request: GenerateRequest, draft: JobDraft, deployed: Deployed, settings: Settings
) -> str:
    """One sentence about the field ``name``. ``request`` and ``draft`` are those of the job, with
    all defaults."""
    spec = draft.spec
    if name == "audio_duration":
        return _length(draft, settings)
    if name in _METADATA:
        return LM_CHOOSES if spec.plan else "The model chooses it."
    if name == "vocal_language" and _language_is_free(spec):
        return LM_CHOOSES
    if name.startswith(_LM_ONLY):
        if spec.plan is None:
            return "It is not used: the language model does not work for this song."
        if name == "lm_model_path" and not spec.plan.model:
            return "The planner's own model is used."
    values: dict[str, object] = {
        "batch_size": len(spec.decode.seeds),
        "inference_steps": spec.decode.steps,
        "shift": spec.decode.shift,
        "chunk_mask_mode": "explicit" if spec.decode.shows_window else "auto",
        "model": spec.decode.model or (deployed.decoders[0].model if deployed.decoders else None),
    }
    if spec.plan:
        values |= {
            "lm_model_path": spec.plan.model,
            "lm_backend": spec.plan.backend,
            "infer_type": spec.plan.infer_type,
        }
    if name in values:
        return used(values[name])
    others = {
        "seed": "Seeds are drawn.",
        "retake_seed": "Seeds are drawn.",
        "repainting_end": "The end of the source is used.",
        "webhook_url": "No messages are sent.",
        "timesteps": "They follow from inference_steps and shift.",
        "dcw_enabled": "DCW is on for turbo models, and off for others.",
    }
    return others.get(name) or used(dict(_by_api_name(request))[name])


def _language_is_free(spec: JobSpec) -> bool:
    """Whether the language model chooses the language."""
    plan = spec.plan
    return plan is not None and lm_chooses_language(
        plan.use_cot_language, spec.decode.vocal_language
    )


def used(value: object) -> str:
    """``60 is used.``"""
    match value:
        case None | "" | ():
            return "None is used."
        case bool():
            return f"{str(value).lower()} is used."
        case int() | float():
            return f"{value:g} is used."
        case tuple():
            return f"{', '.join(map(str, value))} is used."
        case _:
            return f"{value} is used."


def _by_api_name(request: GenerateRequest) -> list[tuple[str, object]]:
    fields = GenerateRequest.model_fields
    return [(fields[name].alias or name, value) for name, value in request]


def _length(draft: JobDraft, settings: Settings) -> str:
    if draft.spec.decode.codes:
        return "The audio codes decide it."
    if draft.wants_source:
        return "The source decides it."
    if draft.spec.plan:
        return LM_CHOOSES
    return f"{length_of(draft.spec, settings):g} s is used."
