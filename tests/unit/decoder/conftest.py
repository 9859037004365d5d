"""The audio files that the tests of ``audio`` make."""

from tests.unit.audio.conftest import make, tone

__all__ = ["make", "tone"]
