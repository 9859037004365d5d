"""A language model that an engine loads is found whole before it is loaded."""

from pathlib import Path

from acestep_ray.replicas.checkpoint_files import check_files
from acestep_ray.settings import Settings
from tests.models.planner.conftest import TINY


def test_a_language_model(checkpoints: Path) -> None:
    settings = Settings.model_validate({"planner": "pt", "checkpoints": checkpoints})
    assert check_files(settings) == [TINY]
