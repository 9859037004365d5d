"""Loops with the job store: what an operator sees of an outage."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from acestep_ray.jobs import store_loop
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store_loop import repeat


async def lines_of(
    outcomes: list[Exception | None], caplog: pytest.LogCaptureFixture
) -> list[logging.LogRecord]:
    """What is logged while the work has these outcomes, one after the other."""
    left: Iterator[Exception | None] = iter(outcomes)
    done = asyncio.Event()

    async def once() -> None:
        outcome = next(left, "end")
        if outcome == "end":
            done.set()
            await asyncio.Event().wait()
        if isinstance(outcome, Exception):
            raise outcome

    task = asyncio.create_task(repeat(once, "The work"))
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [record for record in caplog.records if record.name == store_loop.__name__]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_loop, "PAUSE", 0.0)


async def test_an_outage_is_one_line_and_the_next_one_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = StoreUnavailable("It restarts.")
    lines = await lines_of([away, away, away, None, away, None], caplog)
    assert [line.getMessage() for line in lines] == [
        "The work must wait for the job store: It restarts."
    ] * 2
    assert [(line.levelname, line.exc_info) for line in lines] == [("WARNING", None)] * 2


async def test_a_mistake_is_logged_with_its_traceback_and_the_loop_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = await lines_of([ValueError("unexpected"), None], caplog)
    assert [line.getMessage() for line in lines] == ["The work failed; trying again"]
    assert lines[0].exc_info
