"""Lengths as headers state them."""

from dataclasses import dataclass

UNSTATED = 0x7F00_0000
"""A 32-bit length from here on means "until the end", and so does 0 where something follows.

Writers that cannot go back put there 0xFFFFFFFF (ffmpeg), 0x7FFFF000 or 0x7F000000 and a header
(SoX), 0x7FFFFFFF, 0x80000000, or -1 less what they have written; no file that may be sent is as
long. Other invented lengths (2000000000, say) cannot be distinguished from true ones:
``shortfall`` judges them.
"""


@dataclass(frozen=True)
class Extent:
    """Of the sound that a header states: what is in the file, and what lies behind the file's end.

    Both count the same unit: bytes, frames or samples. ``samples``: samples a channel of one unit,
    0 where only decoding shows them.
    """

    held: int = 0
    missing: int = 0
    samples: int = 0

    def missing_of(self, length: float) -> float:
        """How long the missing part is, where the held part has ``length``; in the same unit.

        0 where nothing is held, since then the two cannot be compared.
        """
        return length * self.missing / self.held if self.held else 0.0


NOTHING_MISSING = Extent()


def extent(stated: int | None, held: int) -> Extent:
    """Of ``stated`` bytes, of which ``held`` are there. None: the header states no length."""
    return Extent(held, max(0, (stated or 0) - held))
