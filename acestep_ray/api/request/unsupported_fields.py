"""Fields of the reference server's later API that this service does not serve.

No client gets a song that it did not ask for: a field that decides what a song is about, or that
asks for something other than a song, is refused. A field that only changes the sound is ignored,
with a warning. A value that asks for what is done anyway is accepted. docs/api.md has the table.
"""

from collections.abc import Mapping

from acestep_ray.api.request.coercion import FALSE, TRUE

_NO_ANALYSIS = (
    "songs are made here, not analysed; POST /v1/understand describes one from its audio codes"
)

REFUSED: Mapping[str, str] = {
    "analysis_only": _NO_ANALYSIS,
    "full_analysis_only": _NO_ANALYSIS,
    "extract_codes_only": "songs are made here; the audio codes of one that the LM planned are in "
    "its result",
}
"""Fields that are refused if they ask for something -> what to send instead."""

_ANY = None
_ZERO = frozenset({"0", "0.0"})

IGNORED: Mapping[str, frozenset[str] | None] = {
    "guidance_params": frozenset(),
    "constrained_decoding": TRUE,
    # These have no effect in the reference server either.
    "repaint_latent_crossfade_frames": _ANY,
    "repaint_wav_crossfade_sec": _ANY,
    "is_format_caption": _ANY,
    "allow_lm_batch": _ANY,
    "parallel_thinking": _ANY,
}
"""Ignored fields -> the values, as lower-case text, that ask for what is done anyway; None: all
values do."""


def asks(value: object) -> bool:
    """Whether a value of a field of REFUSED asks for anything: every value does, except false,
    "no", 0, "" and empty lists."""
    if not isinstance(value, str):
        return bool(value)
    return value.strip().lower() not in FALSE | {""}


def is_lost(name: str, value: object) -> bool:
    """Whether a value of a field of IGNORED asks for something that is not done."""
    usual = IGNORED[name]
    return usual is not None and str(value).strip().lower() not in usual
