"""Which instruction line a client gives, and when it counts as none."""

_DEFAULTS = (
    "Fill the mask based on the given conditions:",
    "Fill the audio semantic mask based on the given conditions:",
    # With this one, too, the reference server uses the task's own instruction.
    "Generate audio semantic tokens based on the given conditions:",
)
"""What the reference server's clients send for every task, whatever the task is."""


def own_instruction(text: str) -> str:
    """The client's own line, without white space around it; "" if the task's line is meant.

    The documented defaults count as none given, also without the colon, in other upper or lower
    case, or with other white space.
    """
    return "" if _key(text) in _KEYS else text.strip()


def _key(text: str) -> str:
    return " ".join(text.split()).removesuffix(":").rstrip().casefold()


_KEYS = frozenset(map(_key, _DEFAULTS))
