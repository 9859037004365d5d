"""If a node starts slowly, the service waits for it; if it never starts, the service gives up."""

from collections.abc import Iterator

import pytest
from ray._private import services

from deployments.serve_run import wait_longer_for_nodes


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Replaces Ray's own query, and fails twice."""
    calls: list[str] = []

    def get_node(gcs_address: str, node_id: str) -> str:
        calls.append(node_id)
        if len(calls) <= 2:
            raise RuntimeError("No node with this id has registered.")
        return gcs_address

    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "1000")  # and restored afterwards
    yield calls


def test_a_slow_node_is_waited_for(calls: list[str]) -> None:
    wait_longer_for_nodes()
    assert services.get_node("address", "node") == "address"  # type: ignore[no-untyped-call]
    assert calls == ["node"] * 3


def test_a_node_that_never_comes_is_given_up(calls: list[str]) -> None:
    wait_longer_for_nodes(seconds=0)
    with pytest.raises(RuntimeError, match="No node with this id"):
        services.get_node("address", "node")  # type: ignore[no-untyped-call]
