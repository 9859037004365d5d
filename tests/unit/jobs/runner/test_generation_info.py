"""The text that tells people how a result was made."""

from typing import Any

import pytest

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.runner.generation_info import generation_info
from tests.unit.jobs.engines import decoded


def text(*, turbo: bool, mock: bool = False, **values: Any) -> str:
    asked: dict[str, Any] = {
        "job_id": "job",
        "attempt": 1,
        "caption": "song",
        "seconds": 9,
        "seeds": (1,),
        "steps": 8,
        "guidance_scale": 7.0,
    }
    request = DecodeRequest(**asked | values)
    done = decoded(request)
    engine = done.engine.model_copy(update={"turbo": turbo, "mock": mock})
    return generation_info(request, None, done.model_copy(update={"engine": engine}), 0, 1)


@pytest.mark.parametrize(
    ("turbo", "values", "line"),
    [
        (True, {}, "DCW: double 0.05/0.02"),
        (False, {}, "DCW: off"),
        (True, {"dcw_enabled": False}, "DCW: off"),
        (True, {"dcw_scaler": 0, "dcw_high_scaler": 0}, "DCW: off"),
        (False, {"dcw_enabled": True, "dcw_mode": "low"}, "DCW: low 0.05"),
    ],
)
def test_it_names_the_correction_that_was_done(
    turbo: bool, values: dict[str, Any], line: str
) -> None:
    assert f"Sampler: euler, {line}" in text(turbo=turbo, **values).splitlines()


def test_it_names_everything_unusual_about_the_steps() -> None:
    values: dict[str, Any] = {
        "infer_method": "sde",
        "timesteps": (1.0, 0.25),
        "use_adg": True,
        "velocity_norm_threshold": 2.5,
        "velocity_ema_factor": 0.1,
        "latent_rescale": 1.5,
    }
    line = (
        "Sampler: sde, DCW: off, Guidance: ADG, Time-steps: 1 0.25, Velocity norm threshold: 2.5, "
        "Velocity EMA factor: 0.1, Latents: times 1.5 plus 0"
    )
    assert line in text(turbo=False, **values).splitlines()
    assert "Sampler: heun, DCW" in text(turbo=True, sampler_mode="heun")
    assert "ADG" not in text(turbo=True, use_adg=True)


def test_it_names_how_a_source_and_another_seed_were_used() -> None:
    repaint: dict[str, Any] = {"task": "repaint", "dcw_enabled": False}
    assert "DCW: off, Repaint: balanced 0.5" in text(turbo=True, **repaint).splitlines()[-2]
    assert "Repaint: conservative" in text(turbo=True, **repaint, repaint_mode="conservative")
    late = text(turbo=True, task="cover", cover_noise_strength=0.4)
    assert "Cover noise: 0.4" in late and "Repaint" not in late
    retake = text(turbo=True, retake_variance=0.1, retake_seeds=(4, 5))
    assert "Retake: 0.1 of seeds 4,5" in retake


def test_a_mock_corrects_nothing() -> None:
    assert "DCW" not in text(turbo=True, mock=True)
