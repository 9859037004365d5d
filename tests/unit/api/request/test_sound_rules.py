"""Fields that change the sound, together with others: what gets a warning, what is refused."""

from typing import Any

import pytest

from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import BASE, MOCK_LM, ApiHarness, warnings_of


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({}, ""),
        ({"dcw": False}, ""),
        ({"dcw_mode": "low", "dcw_scaler": 0.1}, ""),
        ({"dcw_high_scaler": 0.1}, ""),
        ({"dcw": False, "dcw_mode": "low"}, "Not used with dcw_enabled false: dcw_mode."),
        (
            {"dcw_mode": "low", "dcw_high_scaler": 0.1},
            "dcw_high_scaler is not used: it is for dcw_mode double.",
        ),
    ],
)
async def test_dcw_with_a_turbo_model(
    api: ApiHarness, fields: dict[str, Any], warning: str
) -> None:
    assert warnings_of(await api.submit(**fields)) == warning


async def test_strengths_of_a_correction_that_is_off_are_told(api: ApiHarness) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    steps = {"inference_steps": 50}
    assert warnings_of(await api.submit(**steps)) == ""
    assert warnings_of(await api.submit(**steps, dcw_enabled=True, dcw_scaler=0.1)) == ""
    told = warnings_of(await api.submit(**steps, dcw_scaler=0.1))
    assert told.startswith("Not used: dcw_scaler. DCW is off by default for acestep-v15-base")
