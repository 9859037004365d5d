"""How full a replica's device is: a driver that does not answer must not fail the replica."""

import psutil

from deployments.device_watch import memory_use


def test_without_gpus_it_is_the_memory_of_the_machine() -> None:
    found = memory_use(())
    assert found is not None
    assert found.total == psutil.virtual_memory().total
    assert 0 < found.used < found.total


def test_a_gpu_of_which_nothing_is_known_is_left_out() -> None:
    """Without a driver, and with one that does not have it."""
    assert memory_use(["GPU-00000000-0000-0000-0000-000000000000"]) is None
