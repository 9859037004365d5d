"""How the tests read a file that a client sent."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.settings import Ingest

LIMITS = Ingest()
WHOLE = Ingested(44_100, 2, 88_200)
"""The result of reading the tests' tone."""
AMR = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 100
"""Two seconds."""
JUNK = np.random.default_rng(0).bytes(5000)


async def read(path: Path, out: Path, limits: Ingest = LIMITS) -> Ingested:
    found = await ingest(path, out, limits)
    assert sf.info(out).frames == found.samples
    return found


async def refusal(source: Path, out: Path, limits: Ingest = LIMITS) -> tuple[str, str]:
    with pytest.raises(AudioRejected) as caught:
        await ingest(source, out, limits)
    assert list(out.parent.iterdir()) == []
    reason = caught.value.reason
    assert reason[0].isupper() and reason.endswith(".") and "\n" not in reason
    return caught.value.code, reason
