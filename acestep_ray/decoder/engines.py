"""Picks the decoder engine that the settings name."""

from acestep_ray.decoder.protocol import DecoderEngine
from acestep_ray.settings import Settings


def make_decoder(settings: Settings) -> DecoderEngine:
    """Build the engine, loading what it loads. Raises ValueError for one that is not built in."""
    if settings.decoder == "mock":
        from acestep_ray.decoder.mock import MockDecoder

        return MockDecoder(settings.mock)
    raise ValueError(f"ACESTEP_DECODER={settings.decoder} is not available in this version.")
