"""Finds the folder of a 5Hz LM among the checkpoints. Loads nothing."""

from pathlib import Path

from acestep_ray.errors import CheckpointError

PREFIX = "acestep-5Hz-lm-"


def find_lm(checkpoints: Path | None, name: str = "") -> Path:
    """The folder of the LM called ``name``; without a name, the first LM in alphabetical order.

    Raises CheckpointError, which lists the LMs that exist.
    """
    if checkpoints is None:
        raise CheckpointError(
            "No language model: set ACESTEP_CHECKPOINTS to a folder that has one."
        )
    found = sorted(path.name for path in checkpoints.glob(f"{PREFIX}*") if path.is_dir())
    if (name and name not in found) or not found:
        there = ", ".join(found) or "none"
        raise CheckpointError(
            f"{checkpoints} has no {name or PREFIX + '*'}; there are: {there}. "
            "Download ACE-Step/acestep-5Hz-lm-0.6B into it, or set ACESTEP_PLANNER=mock."
        )
    return checkpoints / (name or found[0])
