"""Beside other work the service gets its share of the machine."""

import os

from tests.service import Service


def test_no_process_gives_way_to_all_others(service: Service) -> None:
    """What would break for whom: beside one busy process per core, Ray's workers, which by default
    have a high niceness, took minutes to start and to respond."""
    service.make(audio_duration=1, batch_size=1)
    processes = service.processes("ray::")
    assert len(processes) > 5
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in processes} == {ours}
