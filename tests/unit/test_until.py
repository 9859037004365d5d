"""The tests' own wait: it ends only if there is no progress, however slow the machine is."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import progress, service

PATIENCE = 0.3


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Watches one thing that may change."""
    monkeypatch.setattr(service, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(progress, "watched", set())
    yield progress.watched.add


def test_what_is_found_is_returned() -> None:
    found = iter([None, "", "found"])
    assert service.until(lambda: next(found), "never") == "found"


def test_it_ends_when_nothing_moves(watch: Callable[[Callable[[], object]], None]) -> None:
    watch(lambda: "still")
    with pytest.raises(AssertionError, match="no job ended; nothing has moved"):
        service.until(lambda: None, "no job ended", PATIENCE)


def test_it_goes_on_while_something_moves(watch: Callable[[Callable[[], object]], None]) -> None:
    moves = itertools.count()
    watch(lambda: next(moves))
    started = time.monotonic()
    assert service.until(lambda: time.monotonic() - started > 3 * PATIENCE, "never", PATIENCE)


def test_a_port_is_not_one_that_linux_gives_away() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert {service.free_port() < lowest for _ in range(20)} == {True}
