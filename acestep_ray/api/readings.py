"""How the fields are read that are more than one word or number, or whose bounds are settings."""

from pydantic import ValidationInfo

from acestep_ray.api.kinds import Reason, listed, real, text
from acestep_ray.api.seeds import read_seeds
from acestep_ray.decoder.protocol import codes_of_seconds
from acestep_ray.planner.codes import parse_code_string
from acestep_ray.settings import Limits

TRACKS: tuple[str, ...] = (
    "woodwinds", "brass", "fx", "synth", "strings", "percussion", "keyboard", "guitar", "bass",
    "drums", "backing_vocals", "vocals",
)  # fmt: skip
"""What lego, extract and complete can name, as the model was trained."""


def _limits(info: ValidationInfo) -> Limits:
    limits = info.context["limits"] if info.context else Limits()
    assert isinstance(limits, Limits)
    return limits


def read_duration(value: object, info: ValidationInfo) -> float | None:
    """Seconds; None where the service is to choose."""
    seconds = real(value)
    if seconds in (0, -1):
        return None
    if not 1 <= seconds <= _limits(info).duration:
        raise ValueError("out of range")
    return seconds


def read_batch(value: int, info: ValidationInfo) -> int:
    """Takes, within the setting."""
    if value > _limits(info).batch_size:
        raise ValueError("too many")
    return value


def read_seed(value: object, info: ValidationInfo) -> tuple[int, ...]:
    """One seed or several, no more than there may be takes."""
    return read_seeds(value, _limits(info).batch_size)


def read_codes(value: object, info: ValidationInfo) -> tuple[tuple[int, ...], ...]:
    """One code sequence for all takes, or one a take, all of one length."""
    limits = _limits(info)
    value = listed(value)
    texts = value if isinstance(value, list) else [value]
    if not 1 <= len(texts) <= limits.batch_size:
        raise Reason(f"A list holds one string a take, 1 to {limits.batch_size}.")
    codes = []
    for one in texts:
        try:
            codes.append(parse_code_string(text(one)))
        except Reason:
            raise
        except ValueError as error:
            raise Reason(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if len({len(one) for one in codes}) > 1:
        raise Reason("The takes' code sequences must be of one length.")
    if len(codes[0]) > codes_of_seconds(limits.duration):
        raise Reason(f"It holds {len(codes[0])} codes, which is {len(codes[0]) / 5:g} s of audio.")
    return tuple(codes)


def read_tracks(value: object) -> tuple[str, ...]:
    """Track names, from a list or from text with commas or bars between."""
    value = listed(value)
    if isinstance(value, str):
        value = [part for part in text(value).replace("|", ",").split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("not a list")
    names = tuple(dict.fromkeys(text(name).strip().lower() for name in value))
    if not set(names) <= set(TRACKS):
        raise ValueError("unknown track")
    return names


def read_repaint_end(value: object) -> float | None:
    """Seconds; None for the end of the source."""
    end = real(value)
    return None if end == -1 else end
