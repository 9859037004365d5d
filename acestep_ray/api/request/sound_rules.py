"""The rules for several of the fields that change how the decoder makes the sound."""

from collections.abc import Set as AbstractSet

from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.decoder.protocol import MORPH_TASKS, DecoderDescription

TURBO_TIMESTEPS = 20
"""The most times that a turbo model takes: those that it was made for."""

_NOT_IN_FLOW_EDIT = (
    *("sampler_mode", "infer_method", "use_adg", "guidance_variant"),
    *("audio_cover_strength", "cover_noise_strength"),
    *("dcw_enabled", "dcw_mode", "dcw_scaler", "dcw_high_scaler", "dcw_wavelet"),
)
_OF_DCW = ("dcw_mode", "dcw_scaler", "dcw_high_scaler", "dcw_wavelet")


def check_sound(
    request: GenerateRequest,
    sent: AbstractSet[str],
    decoder: DecoderDescription,
    found: ValidationReport,
) -> None:
    """Warn of values that are not used by a decoder, and refuse those that it cannot use."""
    _check_steps(request, sent, decoder, found)
    _check_dcw(request, sent, decoder, found)
    _check_flow_edit(request, sent, found)
    for name in ("lrc", "scores"):
        if getattr(request, name) and not getattr(decoder, name):
            found.refuse(
                name,
                f"{name} needs a decoder that knows which parts of its model follow the lyrics "
                f"({name} in GET /v1/models), and {decoder.model} does not.",
                f"false for {decoder.model}",
            )
    strength = request.task == "repaint" and "repaint_strength" in sent
    if strength and request.repaint_mode != "balanced":
        found.warn("repaint_strength is not used: it is for repaint_mode balanced.")


def _check_flow_edit(
    request: GenerateRequest, sent: AbstractSet[str], found: ValidationReport
) -> None:
    if not request.flow_edit_morph:
        its = (name for name in sent - {"flow_edit_morph"} if name.startswith("flow_edit_"))
        if given := sorted(its):
            found.warn(f"Not used without flow_edit_morph: {', '.join(given)}.")
        return
    if request.task not in MORPH_TASKS:
        found.warn(
            f"flow_edit_morph is not used for {request.task}: it is for text2music, cover and "
            "cover-nofsq."
        )
        return
    if request.flow_edit_n_min > request.flow_edit_n_max:
        found.refuse(
            "flow_edit_n_max",
            f"flow_edit_n_max ({request.flow_edit_n_max:g}) must not be below flow_edit_n_min "
            f"({request.flow_edit_n_min:g}).",
        )
    if request.flow_edit_n_min == 1:
        found.warn(
            "flow_edit_n_min is 1, so all steps are left out: the takes are the source as the "
            "model encodes it."
        )
    if not (request.flow_edit_source_caption.strip() or request.flow_edit_source_lyrics.strip()):
        found.warn(
            "Nothing describes the source, so caption and lyrics may change it little: send "
            "flow_edit_source_caption, and flow_edit_source_lyrics for what is sung in it."
        )
    if given := [name for name in _NOT_IN_FLOW_EDIT if name in sent]:
        found.warn(f"Not used with flow_edit_morph: {', '.join(given)}.")


def _check_steps(
    request: GenerateRequest,
    sent: AbstractSet[str],
    decoder: DecoderDescription,
    found: ValidationReport,
) -> None:
    if request.sampler_mode == "heun" and request.infer_method == "sde":
        found.warn("sampler_mode heun is not used: it is for infer_method ode.")
    if not request.timesteps:
        return
    if given := [name for name in ("inference_steps", "shift") if name in sent]:
        found.warn(f"Not used with timesteps: {', '.join(given)}.")
    if decoder.turbo and len(request.timesteps) > TURBO_TIMESTEPS:
        found.refuse(
            "timesteps",
            f"timesteps lists {len(request.timesteps)} times, and {decoder.model}, a turbo model, "
            f"takes at most {TURBO_TIMESTEPS}.",
        )


def _check_dcw(
    request: GenerateRequest,
    sent: AbstractSet[str],
    decoder: DecoderDescription,
    found: ValidationReport,
) -> None:
    given = [name for name in _OF_DCW if name in sent]
    if not given:
        return
    if request.dcw_enabled is None and not decoder.turbo:
        found.warn(
            f"Not used: {', '.join(given)}. DCW is off by default for {decoder.model}, which is no "
            "turbo model; send dcw_enabled: true."
        )
    elif request.dcw_enabled is False:
        found.warn(f"Not used with dcw_enabled false: {', '.join(given)}.")
    elif "dcw_high_scaler" in given and request.dcw_mode != "double":
        found.warn("dcw_high_scaler is not used: it is for dcw_mode double.")
