"""The rules for several of the fields that change how the decoder makes the sound."""

from collections.abc import Set as AbstractSet

from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.decoder.protocol import DecoderDescription

TURBO_TIMESTEPS = 20
"""The most times that a turbo model takes: those that it was made for."""

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
