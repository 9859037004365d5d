"""How the values of particular fields are read: duration, takes, seeds, codes, tracks.

Like the validators in coercion.py, each function raises ValueError if the value is not legal.
"""

import re
import secrets
from collections.abc import Mapping
from itertools import pairwise

from pydantic import ValidationInfo

from acestep_ray.api.request.coercion import Reason, listed, real, text, whole
from acestep_ray.decoder.protocol import AdapterUse
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.webhook import WEBHOOK_KINDS
from acestep_ray.planner.codes import BETWEEN_TAKES, parse_code_string
from acestep_ray.settings import Limits
from acestep_ray.timebase import codes_of_seconds
from acestep_ray.webhooks.target import BadUrl, target_of

MAX_SEED = 2**32 - 1
JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RANDOM = -1
TRACKS: tuple[str, ...] = (
    "woodwinds", "brass", "fx", "synth", "strings", "percussion", "keyboard", "guitar", "bass",
    "drums", "backing_vocals", "vocals",
)  # fmt: skip
"""The track names for lego, extract and complete, as in the model's training."""


def _limits(info: ValidationInfo) -> Limits:
    limits = info.context["limits"] if info.context else Limits()
    assert isinstance(limits, Limits)
    return limits


def read_duration(value: object, info: ValidationInfo) -> float | None:
    """Seconds; None if the service has to choose."""
    seconds = real(value)
    if seconds in (0, -1):
        return None
    if not 1 <= seconds <= _limits(info).duration:
        raise ValueError("out of range")
    return seconds


def read_batch(value: int, info: ValidationInfo) -> int:
    """Number of takes, at most that of the settings."""
    if value > _limits(info).batch_size:
        raise ValueError("too many")
    return value


def read_seed(value: object, info: ValidationInfo) -> tuple[int, ...]:
    """One or several seeds, at most as many as there may be takes."""
    return read_seeds(value, _limits(info).batch_size)


def read_codes(value: object, info: ValidationInfo) -> tuple[tuple[int, ...], ...]:
    """One code sequence for all takes, or one per take, all of the same length: a list, or one text
    with BETWEEN_TAKES between them."""
    limits = _limits(info)
    value = listed(value)
    texts = value if isinstance(value, list) else text(value).split(BETWEEN_TAKES)
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
    """Track names, from a list or from a text with commas or vertical bars between them."""
    names = _names(value)
    if not set(names) <= set(TRACKS):
        raise ValueError("unknown track")
    return names


def read_webhook_events(value: object) -> tuple[EventKind, ...]:
    """Kinds of events, from a list or from a text with commas between them; at least one."""
    names = _names(value)
    if not names or not set(names) <= set(WEBHOOK_KINDS):
        raise ValueError("unknown event")
    return tuple(map(EventKind, names))


def _names(value: object) -> tuple[str, ...]:
    """Words, each once, from a list or from a text with commas or vertical bars between them."""
    value = listed(value)
    if isinstance(value, str):
        value = [part for part in text(value).replace("|", ",").split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple(dict.fromkeys(text(name).strip().lower() for name in value))


def read_webhook_url(value: object) -> str:
    """A URL of http or https, in one spelling."""
    try:
        return target_of(text(value).strip()).url
    except BadUrl as error:
        raise Reason(str(error)) from None


def read_job_id(value: object) -> str:
    """The id of a job as it is stored, in lower case."""
    job_id = text(value).strip().lower()
    if not JOB_ID.fullmatch(job_id):
        raise ValueError("not an id")
    return job_id


def read_repaint_end(value: object) -> float | None:
    """Seconds; None for the end of the source."""
    end = real(value)
    return None if end == -1 else end


MOST_STEPS = 200
MOST_ADAPTERS = 8
MOST_SCALE = 2.0
LONGEST_ADAPTER_NAME = 300
_ADAPTER_NAMES = frozenset({"name", "adapter_name", "lora_name", "adapterName", "loraName"})
_ADAPTER_SCALES = frozenset({"scale", "lora_scale", "loraScale", "weight", "strength"})


def read_adapters(value: object) -> tuple[AdapterUse, ...]:
    """Adapters and their scales: a list of names, or of objects with a name and a scale, or a text
    such as "one:0.5, two"."""
    value = listed(value)
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, str):
        value = [part for part in text(value).split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("not a list")
    uses = tuple(map(_adapter, value))
    names = [use.name for use in uses]
    if len(names) > MOST_ADAPTERS:
        raise Reason(f"There are {len(names)} of them.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise Reason(f"{twice[0]} is there twice.")
    return uses


def _adapter(value: object) -> AdapterUse:
    name, scale = value, None
    if isinstance(value, Mapping):
        if unknown := value.keys() - _ADAPTER_NAMES - _ADAPTER_SCALES:
            raise Reason(f"{min(map(str, unknown))} is not known; an adapter has name and scale.")
        name = next((value[key] for key in _ADAPTER_NAMES if key in value), None)
        scale = next((value[key] for key in _ADAPTER_SCALES if key in value), None)
    elif isinstance(value, str) and ":" in value:
        name, _, scale = value.rpartition(":")
    found = text(name).strip().strip("/")
    if not 1 <= len(found) <= LONGEST_ADAPTER_NAME:
        raise Reason("An adapter has a name.")
    strength = 1.0 if scale is None else real(scale)
    if abs(strength) > MOST_SCALE:
        raise Reason(f"The scale of {found} is {strength:g}.")
    return AdapterUse(name=found, scale=strength)


def read_timesteps(value: object) -> tuple[float, ...]:
    """Times of steps, falling from at most 1, without the 0 at the end: from a list, or from a text
    with commas between them. Empty: none were given."""
    value = listed(value)
    if isinstance(value, str):
        value = text(value).split(",")
    if not isinstance(value, list):
        raise ValueError("not a list")
    times = [real(one) for one in value]
    while times and times[-1] == 0:
        times.pop()
    falling = all(later < earlier for earlier, later in pairwise([*times, 0.0]))
    if (value and not times) or not falling or len(times) > MOST_STEPS or max(times, default=1) > 1:
        raise ValueError("not falling from 1 to 0")
    return tuple(times)


def read_seeds(value: object, most: int) -> tuple[int, ...]:
    """The seeds of a request: a number, a list of numbers, or a text with commas between them.

    Each is 0 to MAX_SEED, or RANDOM. Raises ValueError, also for more than ``most``.
    """
    value = listed(value)
    if isinstance(value, str):
        value = value.split(",")
    parts = value if isinstance(value, list) else [value]
    if not parts:
        raise Reason("The list is empty.")
    if len(parts) > most:
        raise Reason(f"There are {len(parts)} seeds.")
    seeds = tuple(whole(part) for part in parts)
    if not all(RANDOM <= seed <= MAX_SEED for seed in seeds):
        raise ValueError("out of range")
    return seeds


def fix_seeds(wanted: tuple[int, ...], takes: int) -> tuple[int, ...]:
    """The seeds of ``takes`` takes, each 0 to MAX_SEED.

    If one seed is given, it is increased by one per take (MAX_SEED is followed by 0). If several
    are given, there is one per take. Each RANDOM is drawn here, so that the job can be repeated
    with the same seed.
    """
    if len(wanted) == 1 and wanted[0] != RANDOM:
        return tuple((wanted[0] + take) % (MAX_SEED + 1) for take in range(takes))
    if len(wanted) == 1:
        wanted *= takes
    return tuple(secrets.randbelow(MAX_SEED + 1) if seed == RANDOM else seed for seed in wanted)
