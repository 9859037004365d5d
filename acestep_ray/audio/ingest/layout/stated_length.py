"""Lengths as headers state them."""

from dataclasses import dataclass

UNSTATED = 0x7F00_0000
"""32-bit lengths from this one up mean "until the end", and so does 0 if something follows.

Writers that cannot go back write 0xFFFFFFFF (ffmpeg), 0x7FFFF000 or 0x7F000000 plus a header (SoX),
0x7FFFFFFF, 0x80000000, or -1 minus what they have written; no file that may be sent is that long.
Other invented lengths (for example 2000000000) cannot be distinguished from true ones:
``shortfall`` decides about them.
"""


@dataclass(frozen=True)
class Extent:
    """How much of the sound that a header states is in the file, and how much is missing after its
    end.

    Both count the same unit: bytes, frames or samples. ``samples``: samples per channel of one
    unit, 0 if only decoding shows them.
    """

    held: int = 0
    missing: int = 0
    samples: int = 0

    def missing_of(self, length: float) -> float:
        """How long the missing part is, if the held part has ``length``; in the same unit.

        0 if nothing is held, because the two then cannot be compared.
        """
        return length * self.missing / self.held if self.held else 0.0


NOTHING_MISSING = Extent()


def extent(stated: int | None, held: int) -> Extent:
    """The extent of ``stated`` bytes (None: unknown), of which ``held`` are there."""
    return Extent(held, max(0, (stated or 0) - held))
