"""What a service on several nodes reports about data that only one of them has."""

import re

import pytest
from pydantic import SecretStr

from acestep_ray.settings import Settings
from acestep_ray.startup.checks import bound_to_one_node

SQLITE = "This Ray cluster has 3 nodes, and a SQLite job store is .* set ACESTEP_STORE=redis://HOST"
FOLDER = "has 3 nodes, and the audio in file:///a is .* set ACESTEP_ARTIFACTS .* or ACESTEP_ARTIF"


@pytest.mark.parametrize(
    ("store", "artifacts", "shared", "why"),
    [
        ("", "s3://songs", False, SQLITE),
        ("sqlite:////jobs.sqlite", "file:///a", True, SQLITE),
        ("redis://host", "file:///a", False, FOLDER),
        ("redis://host", "file:///a", True, None),
        ("unix:///redis.sock", "s3://songs", False, None),
    ],
)
def test_data_on_one_node(store: str, artifacts: str, shared: bool, why: str | None) -> None:
    settings = Settings(store=SecretStr(store), artifacts=artifacts, artifacts_shared=shared)
    reason = bound_to_one_node(settings, nodes=3)
    if why is None:
        assert reason is None
    else:
        assert reason is not None
        assert re.search(why, reason)
    assert bound_to_one_node(settings, nodes=1) is None
