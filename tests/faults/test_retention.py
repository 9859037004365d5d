"""Many jobs are made and purged: then memory and disk use are again about as before."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import FULL
from tests.service import Service, running, until

JOBS = 1000 if FULL else 60


def memory(service: Service) -> float:
    """Resident memory of the job store actor, MB."""
    (pid,) = service.processes("ray::JobStoreActor")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def size(folder: Path) -> float:
    """All files under a folder, MB."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue  # purged just now
    return total / 1e6


def test_retention(
    own_data: Path,
    config: dict[str, Any],
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = environment | {
        "ACESTEP_MOCK__STEP_SECONDS": "0",
        "ACESTEP_JOBS__KEEP": "20" if FULL else "5",
        "ACESTEP_JOBS__PURGE_EVERY": "1",
        "ACESTEP_LIMITS__QUEUE": str(2 * JOBS),
    }
    with running(own_data, environment, config) as service:
        # A few jobs first, so that everything that is loaded once is loaded.
        for _ in range(5):
            service.make(audio_duration=1, batch_size=1)
        before = memory(service), size(own_data)

        def submit(number: int) -> str:
            return service.submit(
                caption=f"job {number} " + "x" * 500,
                audio_duration=1, batch_size=1, audio_format="flac",
            )  # fmt: skip

        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(submit, range(JOBS)))
        most = before

        def purged() -> bool:
            nonlocal most
            now = memory(service), size(own_data)
            most = max(most[0], now[0]), max(most[1], now[1])
            stats = service.http.get("/v1/stats").json()
            assert stats["failed"] == 0
            return not any(stats[status] for status in ("queued", "running", "succeeded"))

        until(purged, "the jobs were not purged")
        takes = own_data / "artifacts" / "takes"
        until(lambda: size(takes) == 0, "the audio was not purged")
        after = memory(service), size(own_data)
        assert service.http.get(f"/v1/jobs/{ids[0]}").status_code == 410
    with capsys.disabled():
        print(f"\n{JOBS} jobs: {'':<12} before   most  after the purge")  # noqa: T201
        for row, name in enumerate(("actor memory, MB", "data folder, MB")):
            figures = "".join(f"{figure[row]:9.1f}" for figure in (before, most, after))
            print(f"  {name:<18}{figures}")  # noqa: T201
    assert after[0] < before[0] * 1.3
    assert after[1] < before[1] + 0.2 * (most[1] - before[1]) + 1.0
