"""`acestep-ray doctor` beside a service that runs: it finds it, and disturbs nothing."""

import json
import subprocess
import sys
from pathlib import Path

from tests.service import Service


def files(folder: Path) -> set[Path]:
    """Its files, but for those that come and go with each transaction."""
    return {file for file in folder.rglob("*") if "jobs.sqlite-" not in file.name}


def test_a_running_service_is_well_and_its_jobs_go_on(service: Service) -> None:
    done_before = service.make(caption="before", audio_duration=10, batch_size=1)
    job = service.submit(caption="meanwhile", audio_duration=60, batch_size=2)
    before = files(service.data)
    command = [sys.executable, "-m", "acestep_ray.cli", "doctor", "--json"]
    config = service.data.parent / f"{service.data.name}.yaml"
    done = subprocess.run(
        [*command, str(config)],
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    (port,) = [one["message"] for one in results if one["check"] == "port"]
    assert port.endswith(f"runs at {service.url}, ready")
    (store,) = [one["message"] for one in results if one["check"] == "job store"]
    assert store.endswith("jobs.sqlite can be read and written")
    assert before <= files(service.data)
    assert service.finish(job)["status"] == "succeeded"
    assert service.job(done_before["job_id"])["status"] == "succeeded"
