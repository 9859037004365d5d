"""Receivers on loopback, and a name service that tests control."""

from collections.abc import Iterator

import pytest

from tests.unit.webhooks.names import SetNames, set_names
from tests.webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> SetNames:
    return set_names(monkeypatch)
