"""The time base of ACE-Step 1.5: how samples, latent frames and audio codes divide a second."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
"""Of every take, Hz."""
FRAMES_PER_SECOND = 25
"""Latent frames, which the decoder denoises."""
CODES_PER_SECOND = 5
"""Audio codes, which the language model writes."""
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAMES_PER_SECOND
FRAMES_PER_CODE = FRAMES_PER_SECOND // CODES_PER_SECOND

Samples = NDArray[np.float32]
"""Audio in [-1, 1], shape [samples, channels]."""


def frames_of_seconds(seconds: float) -> int:
    """Latent frames in ``seconds``, rounded down, as if ``seconds`` were an exact decimal number.

    16.6 * 25 is 414.99999999999994 in floats; a user who requested 16.6 s means 415 frames.
    """
    return int(seconds * FRAMES_PER_SECOND + 1e-6)


def codes_of_seconds(seconds: float) -> int:
    """Audio codes in ``seconds``, rounded down in the same way."""
    return int(seconds * CODES_PER_SECOND + 1e-6)
