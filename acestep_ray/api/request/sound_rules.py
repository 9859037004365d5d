"""The rules for several of the fields that change how the decoder makes the sound."""

from collections.abc import Set as AbstractSet

from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.decoder.protocol import DecoderDescription

_OF_DCW = ("dcw_mode", "dcw_scaler", "dcw_high_scaler", "dcw_wavelet")


def check_sound(
    request: GenerateRequest,
    sent: AbstractSet[str],
    decoder: DecoderDescription,
    found: ValidationReport,
) -> None:
    """Warn of values that the decoder does not use, whose model is ``decoder``'s."""
    _check_dcw(request, sent, decoder, found)


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
