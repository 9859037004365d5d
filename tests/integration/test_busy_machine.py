"""Beside other work the service has its share of the machine."""

import os

from tests.service import Service


def test_no_process_gives_way_to_all_others(service: Service) -> None:
    """What would break for whom: next to one busy process a core, Ray's workers, which by default
    are nice to everybody, took minutes to start and to answer."""
    service.make(audio_duration=1, batch_size=1)
    processes = service.processes("ray::")
    assert len(processes) > 5
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in processes} == {ours}
