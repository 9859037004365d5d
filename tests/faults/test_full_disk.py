"""The disk for audio is full: those jobs fail with a message, the service continues."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.drill import Drill
from tests.service import running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes (mounting one needs root)."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk(
    own_data: Path, config: dict[str, Any], environment: dict[str, str], small_disk: Path
) -> None:
    environment = environment | {"ACESTEP_ARTIFACTS": small_disk.as_uri()}
    with running(own_data, environment, config) as service:
        # 5 s of WAV have 0.96 MB: four fit, then the disk is full.
        drill = Drill(service, 8)
        jobs = drill.all_end()
        failed = [job for job in jobs if job["status"] == "failed"]
        assert len(failed) >= 3
        assert {job["error_code"] for job in failed} == {"storage_failed"}
        assert all(str(small_disk) not in job["error"] for job in failed)
        # Failed jobs have left no files, and when there is room again, jobs succeed.
        done = [job for job in jobs if job["status"] == "succeeded"]
        stored = [path for path in small_disk.rglob("*") if path.is_file()]
        assert len(stored) == len(done)
        assert service.http.delete(f"/v1/jobs/{done[0]['job_id']}").status_code == 204
        Drill(service, 1, audio_duration=1, audio_format="mp3").all_succeed()
