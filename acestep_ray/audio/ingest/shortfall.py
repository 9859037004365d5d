"""The rule that decides whether a file with less sound than its header states was cut off.

A header's length is what its writer knew when it wrote it:

- None, or one that means "until the end" (``layout.stated_length``): what is there is the file.
- More than the service accepts. The whole file would have been refused as too long, so no client
  can mean it: the writer streamed and invented the length (2000000000 bytes, 1000000000), or the
  file is the front of a long one. What is there is accepted, and a warning states both lengths.
- At most ``SPARE``, or a codec's block, more than is there: a recorder crashed, or a byte was lost
  on the way. What is there is accepted, with a warning.
- Anything else: the file was cut off, and its sender probably does not know. It is refused with
  both lengths.
"""

from dataclasses import dataclass

SPARE = 0.1
"""Seconds."""


class CutOff(Exception):
    """The file was cut off. The message is one sentence for the client.

    ``read`` and ``stated``: seconds that could be read, and that there should be (0: unknown).
    """

    def __init__(self, read: float, stated: float = 0.0) -> None:
        there = f"the first {length(read)}"
        there = f"of {length(stated)} seconds only {there}" if stated else f"only {there} seconds"
        super().__init__(f"The audio is cut off or damaged: {there} can be read.")


def length(seconds: float) -> str:
    """``seconds`` as text for a client."""
    return f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"


@dataclass(frozen=True)
class Lengths:
    """In seconds. ``stated``: what the header states, at least ``read``. ``block``: what one
    missing byte may cost. ``damaged``: a part could not be decoded and was passed over."""

    read: float
    stated: float
    block: float = 0.0
    damaged: bool = False


def judge(lengths: Lengths, longest: float) -> str:
    """The warning, empty if there is none; ``longest``: the most seconds that are accepted.

    Raises CutOff.
    """
    missing = lengths.stated - lengths.read
    if missing > 0 and lengths.stated > longest:
        return (
            f"its header names {length(lengths.stated)} seconds, more than is accepted, and it "
            f"holds {length(lengths.read)}; all that is there was read."
        )
    if missing > max(SPARE, lengths.block):
        raise CutOff(lengths.read, lengths.stated)
    if missing > 0:
        return (
            f"it ends {max(missing, 0.001):.3f} seconds before its header says; all that is there, "
            f"{length(lengths.read)} seconds, was read."
        )
    if lengths.damaged:
        return (
            "it breaks off, or is damaged inside; what could be read, "
            f"{length(lengths.read)} seconds, was taken."
        )
    return ""
