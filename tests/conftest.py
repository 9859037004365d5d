"""Marks every test by its folder, and sets how many examples hypothesis tries."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest

from tests.s3 import BUCKET, S3Server

# In the order in which they run: of the services' tests, those whose files take longest begin
# first, so that the other process has something to do until the end.
FOLDERS = ("unit", "models", "serve_real", "cluster", "faults", "integration", "e2e")

# A slow test computes its number from the profile's. No deadline: a busy machine would miss it.
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None)
hypothesis.settings.register_profile("quick", max_examples=10, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# Of every Ray that a test starts: its workers otherwise give way to all other processes, and on a
# busy machine a service then takes minutes to start.
os.environ.setdefault("RAY_worker_niceness", "0")
# As deployments/serve_run.py sets it, for the clusters that tests start themselves.
os.environ.setdefault("RAY_worker_register_timeout_seconds", "300")

LONGEST_ID = 60
"""Of a parameter, in characters."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short name for a long parameter: pytest would send all of it between its processes."""
    if not isinstance(val, str | bytes) or len(val) <= LONGEST_ID:
        return None  # pytest's own
    beginning = val[:LONGEST_ID]
    text = beginning if isinstance(beginning, str) else beginning.decode("ascii", "replace")
    shown = text.encode("unicode_escape").decode()[:LONGEST_ID]
    return f"{shown}... of {len(val)}"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        assert folder in FOLDERS, f"{item.path}: tests live in one of {FOLDERS}"
        item.add_marker(folder)
    # Quick ones first: a mistake shows in seconds, before anything is started. What a folder shares
    # is started after the tests that do not need it (folders in it share something else), and ends
    # with the folder's last test, because an unused service slows the other tests down on a small
    # machine.
    items.sort(
        key=lambda item: (
            FOLDERS.index(item.path.relative_to(here).parts[0]),
            item.path.parent.name != "engines",  # vLLM's: long, so no other test waits for them
            _shares(item) and item.path.parent.parent == here,
        )
    )
    for item in items:  # for xdist's loadgroup: only one process starts what a folder shares
        group = item.path.parent if _shares(item) else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(here))))


def _shares(item: pytest.Item) -> bool:
    """Whether the test uses the service of its folder."""
    assert isinstance(item, pytest.Function)
    found = item._fixtureinfo.name2fixturedefs.get("service", ())
    return bool(found) and found[-1].scope == "package"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One object store for the tests that need one; a test that kills it starts it again."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def s3_url(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of the test's own in the object store; the environment is set to use it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/a folder/{uuid4()}"
