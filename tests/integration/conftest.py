"""One service for the whole folder: a real local Ray cluster with mock engines."""

from collections.abc import Iterator

import pytest

from tests.service import Service, running
from tests.webhook_receiver import SECRET

ENVIRONMENT = {"ACESTEP_WEBHOOKS__SECRET": SECRET, "ACESTEP_WEBHOOKS__ALLOW": "loopback"}


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("integration") / "data", ENVIRONMENT) as service:
        yield service


@pytest.fixture(autouse=True)
def nobody_failed(service: Service) -> Iterator[None]:
    """After each test the service is still the one that was started, and works."""
    yield
    assert service.http.get("/ready").status_code == 200
