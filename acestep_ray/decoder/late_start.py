"""Where the steps of a cover begin that has much of its source in its first noise."""

from collections.abc import Sequence


def first_step(times: Sequence[float], strength: float) -> int:
    """The first step that is made, if so much of the source, 0 to 1, is in the noise at the
    beginning: the one whose time is nearest to 1 - strength, the earlier one of two that are
    equally near. ``times``: of all steps, without the 0 in which they end."""
    distances = [abs(time - (1 - strength)) for time in times]
    return distances.index(min(distances))
