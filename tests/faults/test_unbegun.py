"""A job kills its worker each time before the engine has begun it.

It used to be tried once per second without end. The jobs behind it at its worker are not at fault.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.drill import Drill
from tests.faults.dying_app import DEADLY
from tests.service import ROOT, running


@pytest.fixture
def dying_config(config: dict[str, Any]) -> dict[str, Any]:
    (application,) = config["applications"]
    return config | {
        "applications": [application | {"import_path": "tests.faults.dying_app:build"}]
    }


def test_a_job_that_kills_its_worker_before_it_begins_fails(
    own_data: Path, dying_config: dict[str, Any], environment: dict[str, str], jobs: int
) -> None:
    with running(own_data, environment | {"PYTHONPATH": str(ROOT)}, dying_config) as service:
        drill = Drill(service, 1, caption=DEADLY)
        drill.ids += [service.submit(audio_duration=5, batch_size=1) for _ in range(jobs)]
        deadly, *others = drill.all_end()
    assert (deadly["status"], deadly["error_code"]) == ("failed", "worker_lost")
    assert deadly["error"] == (
        "The job's worker was lost 3 times, at last before it had begun, so it was given up."
    )
    assert (deadly["attempts"], deadly["started_at"]) == (3, None)
    assert [job for job in others if job["status"] != "succeeded"] == []
