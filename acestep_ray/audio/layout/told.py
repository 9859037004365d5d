"""Lengths as headers name them."""

UNTOLD = 0x7F00_0000
"""A 32-bit length from here on says "until the end", and so does 0 where something follows.

Writers that cannot go back put there 0xFFFFFFFF (ffmpeg), 0x7FFFF000 or 0x7F000000 and a header
(SoX), 0x7FFFFFFF, 0x80000000, or -1 less what they have written; no file that may be sent is as
long. Other invented lengths (2000000000, say) look like any other: ``shortfall`` judges them.
"""


def beyond(told: int, held: int) -> float:
    """What of ``told`` bytes lies beyond the ``held`` ones, as a share of these."""
    return max(0.0, told / held - 1) if held else 0.0
