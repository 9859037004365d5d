"""Random numbers that are a pure function of a key: the same on every machine."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np


def random_stream(key: Sequence[object]) -> np.random.Generator:
    """The random numbers of a key, which holds plain JSON values."""
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
