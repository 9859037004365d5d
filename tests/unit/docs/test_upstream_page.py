"""docs/upstream.md describes what works for upstream's clients, and what does not."""

from fnmatch import fnmatch
from pathlib import Path

from fastapi.routing import APIRoute

from acestep_ray.api.request.generate_request import FIELDS
from acestep_ray.api.upstream.inventory import NOT_DONE
from acestep_ray.api.upstream.routers import UPSTREAM_ROUTERS

PAGE = (Path(__file__).parents[3] / "docs" / "upstream.md").read_text()
NAMED = {word for part in PAGE.split("`")[1::2] for word in part.split()}


def test_every_route_is_listed() -> None:
    table = PAGE.split("## Routes")[1].split("##")[0]
    for router in UPSTREAM_ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute) and route.path in table


def test_every_field_that_is_not_done_is_listed() -> None:
    table = PAGE.split("not done yet")[1]
    patterns = {word for part in table.split("`")[1::2] for word in part.split()}
    for name in NOT_DONE:
        assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_every_field_is_listed() -> None:
    """Except those that upstream does not have."""
    own = {"infer_type", "adapters"}
    other = {"caption": "prompt"}
    for name in FIELDS.keys() - own:
        assert name in NAMED or other.get(name) in NAMED, name
