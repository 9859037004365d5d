"""Real storage: a folder, and an object store's process."""

import os
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts

BIG = 12_000_000
"""Bytes: more than one part of a multipart upload."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the store, 100% é"  # characters that must be quoted in a URL


@pytest.fixture(params=["file", "s3"])
def artifacts(request: pytest.FixtureRequest, folder: Path) -> Artifacts:
    """The contract suite runs on both."""
    return Artifacts(
        folder.as_uri() if request.param == "file" else request.getfixturevalue("s3_url")
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten bytes."""
    (tmp_path / "small").write_bytes(b"0123456789")
    return tmp_path / "small"


@pytest.fixture
def big(tmp_path: Path) -> Path:
    (tmp_path / "big").write_bytes(os.urandom(BIG))
    return tmp_path / "big"
