"""What the tests of upstream's fields share."""

import pytest

from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import BASE, MOCK_LM, TURBO, ApiHarness


@pytest.fixture
def both(api: ApiHarness) -> ApiHarness:
    """A turbo model and a base model."""
    api.service.deploy = Deployed((MOCK_LM,), (TURBO, BASE), ready=True)
    return api
