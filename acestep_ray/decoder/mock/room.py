"""The reverberation of the band: a small feedback delay network."""

import numpy as np

from acestep_ray.decoder.mock.wavetable import Wave
from acestep_ray.timebase import SAMPLE_RATE

# Delays in samples, relatively prime: 30 to 52 ms.
_DELAYS = (1447, 1777, 2137, 2503)
_STEP = min(_DELAYS)
_DAMPING = np.float32(0.3)


class Room:
    """Adds reverberation to a stream of blocks.

    Jot and Chaigne's feedback delay network (1991) with a Hadamard matrix. Nothing returns sooner
    than the shortest delay, so that many samples can be processed at a time.
    """

    def __init__(self, seconds: float, wet: float) -> None:
        """``seconds``: time in which the sound falls by 60 dB; ``wet``: its level."""
        self._gains = [
            np.float32(0.5 * 10 ** (-3 * delay / (seconds * SAMPLE_RATE))) for delay in _DELAYS
        ]
        self._wet = np.float32(wet)
        # Each line's past samples, one more than its delay, for the damping.
        self._past = [np.zeros(delay + 1, dtype=np.float32) for delay in _DELAYS]

    def add_to(self, block: Wave) -> None:
        """Add the reverberation to a block [2, samples], in place; blocks follow each other."""
        samples = block.shape[1]
        lines = [np.concatenate([past, np.empty(samples, dtype=np.float32)]) for past in self._past]
        for start in range(0, samples, _STEP):
            count = min(_STEP, samples - start)
            heard = [
                (line[start + 1 : start + 1 + count] * (1 - _DAMPING) + line[start : start + count]
                 * _DAMPING) * gain
                for line, gain in zip(lines, self._gains, strict=True)
            ]  # fmt: skip
            a, b, c, d = heard
            left, right = block[0, start : start + count], block[1, start : start + count]
            ab, cd, a_b, c_d = a + b, c + d, a - b, c - d
            into = (left + (ab + cd), right + (a_b + c_d), left + (ab - cd), right + (a_b - c_d))
            for line, delay, fresh in zip(lines, _DELAYS, into, strict=True):
                line[delay + 1 + start : delay + 1 + start + count] = fresh
            left += (a + c) * self._wet
            right += (b - d) * self._wet
        self._past = [line[samples:].copy() for line in lines]
