"""Receivers on loopback, a name service that tests control, and services with webhooks."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.unit.webhooks.jobs import WebhookHarness
from tests.unit.webhooks.names import SetNames, set_names
from tests.webhook_receiver import Receiver, receiving


class MakeHarness(Protocol):
    """Starts a coordinator; keyword arguments are settings of webhooks."""

    async def __call__(self, **webhooks: Any) -> WebhookHarness: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> SetNames:
    return set_names(monkeypatch)


@pytest.fixture
async def make_harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeHarness]:
    monkeypatch.setattr("acestep_ray.jobs.coordinator.coordinator.LOOK_FOR_DELIVERIES", 0.01)
    async with AsyncExitStack() as stack:

        async def make(**webhooks: Any) -> WebhookHarness:
            harness = WebhookHarness(tmp_path / "jobs.sqlite", **webhooks)
            await harness.open()
            stack.push_async_callback(harness.close)
            return harness

        yield make


@pytest.fixture
async def harness(make_harness: MakeHarness) -> WebhookHarness:
    return await make_harness()
