"""Marks every test by the folder it lies in."""

from pathlib import Path

import pytest

FOLDERS = {"unit", "integration", "models", "e2e", "faults"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        assert folder in FOLDERS, f"{item.path}: tests live in one of {sorted(FOLDERS)}"
        item.add_marker(folder)
    # Quick ones first: a mistake shows in seconds, before anything is started.
    order = ["unit", "models", "integration", "e2e", "faults"]
    items.sort(key=lambda item: order.index(item.path.relative_to(here).parts[0]))
