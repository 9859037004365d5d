"""Another process locks the SQLite file: writes wait, and continue when it releases the lock."""

import sqlite3
import threading

import pytest

from tests.faults.drill import Drill
from tests.service import Service

HELD_SECONDS = 5.0


@pytest.mark.parametrize("store", ["sqlite"], indirect=True, scope="package")
def test_locked_database(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs)
    drill.until_running()
    other = sqlite3.connect(
        service.data / "jobs.sqlite", isolation_level=None, check_same_thread=False
    )

    def hold() -> None:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(HELD_SECONDS, lambda: other.execute("ROLLBACK")).start()

    table[f"database locked for {HELD_SECONDS:g} s by another"] = drill.recovery(hold)
    drill.all_succeed()
    other.close()
