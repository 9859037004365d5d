"""How many decoders may share the cores of a node."""

import pytest

from acestep_ray.settings import Settings
from deployments import decoder


@pytest.mark.parametrize(
    ("gpus", "share", "most", "expected"),
    [
        (0, None, 1, 1),  # a workstation without a GPU
        (0, None, 3, 3),
        (1, 1, 1, 1),
        (8, 1, 0, 8),  # as many as the GPUs allow
        (8, 1, 2, 2),
        (8, 2, 0, 4),
        (1, 0.5, 0, 2),
        (1, 2, 0, 1),  # more GPUs than this node has
        (0, 1, 0, 1),
    ],
)
def test_replicas_of_a_node(
    monkeypatch: pytest.MonkeyPatch, gpus: int, share: float | None, most: int, expected: int
) -> None:
    monkeypatch.setattr(decoder, "gpus_of_this_node", lambda: gpus)
    stage = {"num_gpus": share, "min_replicas": 0, "max_replicas": most}
    settings = Settings.model_validate({"scaling": {"decoder": stage}})
    assert decoder._replicas_of_node(settings) == expected
