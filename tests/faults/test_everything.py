"""Everything is killed at once, as in a power cut, and restarted on the same data folder."""

import time
from pathlib import Path
from typing import Any

from tests.faults.conftest import FULL
from tests.faults.drill import Drill
from tests.otlp_receiver import OtlpReceiver, roots
from tests.service import Service, running, until


def test_everything(
    service: Service, traces: OtlpReceiver, jobs: int, table: dict[str, float]
) -> None:
    """The drills after this one use the restarted service. The trace of each job goes on."""
    drill = Drill(service, jobs)
    drill.until_running()

    def traced() -> bool:
        return all(
            any(span.name == "submit" for span in traces.trace_of(job_id)) for job_id in drill.ids
        )

    until(traced, "the traces do not come")
    service.kill_everything()
    began = time.monotonic()
    before = drill.ended()
    service.start()
    until(lambda: len(drill.ended()) > len(before), "no job ended after the restart")
    table["everything, to the first song after"] = time.monotonic() - began
    finished = drill.all_succeed()
    assert max(job["attempts"] for job in finished) == 2
    # The last spans of those that had just ended may be lost.
    for job in (one for one in finished if one["job_id"] not in before):
        assert len(roots(traces.whole_trace_of(job["job_id"]))) == 1


if FULL:  # for comparison, in the table

    def test_a_cold_start(
        own_data: Path,
        config: dict[str, Any],
        environment: dict[str, str],
        table: dict[str, float],
    ) -> None:
        with running(own_data, environment, config) as service:
            service.kill_everything()
            began = time.monotonic()
            service.start()
            service.make(audio_duration=5, batch_size=1)
            table["(an empty cold start, to its first song)"] = time.monotonic() - began
