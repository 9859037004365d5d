"""Requests takes from the mock decoder."""

from typing import Any

import numpy as np

from acestep_ray.decoder.mock import MockDecoder
from acestep_ray.decoder.protocol import DecodeRequest, RenderedTake, Sources
from acestep_ray.settings import Mock
from acestep_ray.timebase import SAMPLE_RATE, Samples

LYRICS = """[verse]
Hello world this is me
Walking down the street so free
[chorus]
Oh yeah we sing along
All night long
"""


def request(**changed: Any) -> DecodeRequest:
    """A ten-second request with changed values."""
    fields: dict[str, Any] = {
        "job_id": "job",
        "attempt": 1,
        "task": "text2music",
        "caption": "upbeat pop song",
        "lyrics": "",
        "vocal_language": "en",
        "bpm": 120,
        "key_scale": "C major",
        "time_signature": "4",
        "seconds": 10.0,
        "seeds": (1,),
        "steps": 2,
        "guidance_scale": 7.0,
    }
    return DecodeRequest(**(fields | changed))


def takes(asked: DecodeRequest, sources: Sources | None = None) -> list[RenderedTake]:
    """All takes of a request."""
    engine = MockDecoder(Mock())
    return list(engine.generate(asked, sources or Sources(), lambda *_: None))


def take(sources: Sources | None = None, **changed: Any) -> Samples:
    """The samples of a request's only take."""
    (only,) = takes(request(**changed), sources)
    return only.samples


def swell(seconds: float, rate: int = SAMPLE_RATE, channels: int = 2) -> Samples:
    """A source: a chord that swells and fades three times, and is never quite silent."""
    t = np.arange(round(seconds * rate)) / rate
    loudness = 0.02 + 0.5 * np.sin(3 * np.pi * t / seconds) ** 2
    tones = [np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6)[:channels]]
    return np.stack([loudness * tone for tone in tones], axis=1).astype(np.float32)
