"""Seeds: how clients write them, and how a job's are fixed when it is submitted."""

import secrets

from acestep_ray.api.kinds import Reason, listed, whole

MAX_SEED = 2**32 - 1
RANDOM = -1


def read_seeds(value: object, most: int) -> tuple[int, ...]:
    """The seeds of a request: a number, a list of them, or text with commas between.

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

    One wanted seed goes on by one a take (after MAX_SEED comes 0), several are one a take, and
    each RANDOM is drawn here, so that a replay can name it.
    """
    if len(wanted) == 1 and wanted[0] != RANDOM:
        return tuple((wanted[0] + take) % (MAX_SEED + 1) for take in range(takes))
    if len(wanted) == 1:
        wanted *= takes
    return tuple(secrets.randbelow(MAX_SEED + 1) if seed == RANDOM else seed for seed in wanted)
