"""The mock decoder: a small synthesiser, so that the service makes real audio without a model."""

from acestep_ray.decoder.mock.engine import MockDecoder

__all__ = ["MockDecoder"]
