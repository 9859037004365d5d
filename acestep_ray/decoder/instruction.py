"""Which instruction line a client gives, and when it gives none."""

_DEFAULTS = (
    "Fill the mask based on the given conditions:",
    "Fill the audio semantic mask based on the given conditions:",
    # With this one too the reference server takes the task's own.
    "Generate audio semantic tokens based on the given conditions:",
)
"""What the reference server's clients send for every task, whatever the task."""


def own_instruction(text: str) -> str:
    """The client's own line, without white space around it; "" where the task's is meant.

    The documented defaults mean none given, also without the colon, in another case, or with other
    white space.
    """
    return "" if _key(text) in _KEYS else text.strip()


def _key(text: str) -> str:
    return " ".join(text.split()).removesuffix(":").rstrip().casefold()


_KEYS = frozenset(map(_key, _DEFAULTS))
