"""How many takes a replica encodes at a time follows from the cores that it may use."""

from pathlib import Path

import pytest

from acestep_ray.decoder.cores import encoders_for, usable_cores


@pytest.mark.parametrize(
    ("wanted", "cores", "replicas", "expected"),
    [(0, 16, 1, 15), (0, 96, 8, 11), (0, 2, 1, 2), (0, 1, 1, 2), (0, 2.5, 1, 2), (0, 128, 1, 16),
     (0, 8, 2, 3), (0, 4, 8, 2), (3, 64, 1, 3), (1, 1, 4, 1)],
)  # fmt: skip
def test_encoders(wanted: int, cores: float, replicas: int, expected: int) -> None:
    assert encoders_for(wanted, cores, replicas) == expected


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 0.5), ("max 100000", None), ("99999999 100000", None)]
)
def test_the_quota_of_a_container_counts(tmp_path: Path, quota: str, cores: float | None) -> None:
    all_cores = usable_cores(tmp_path)  # there is no quota yet
    assert all_cores >= 1
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(tmp_path) == (cores or all_cores)
