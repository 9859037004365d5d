"""The text that tells people how a result was made."""

from typing import Any

import pytest

from acestep_ray.decoder.protocol import DecodeRequest, SourceAudio
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
        "steps": 2,
        "use_adg": True,
        "velocity_norm_threshold": 2.5,
        "velocity_ema_factor": 0.1,
        "latent_rescale": 1.5,
    }
    line = (
        "Sampler: sde, DCW: off, Guidance: ADG, Time-steps: 1 0.25, Velocity norm threshold: 2.5, "
        "Velocity EMA factor: 0.1, Latents: times 1.5 plus 0"
    )
    lines = text(turbo=False, **values).splitlines()
    assert line in lines
    assert lines[0] == "Steps: 2, Scale: 7.0", "there is no shift in times that were sent"
    assert "Sampler: heun, DCW" in text(turbo=True, sampler_mode="heun")
    assert "ADG" not in text(turbo=True, use_adg=True)


def test_it_names_how_a_source_and_another_seed_were_used() -> None:
    repaint: dict[str, Any] = {"task": "repaint", "dcw_enabled": False}
    assert "DCW: off, Repaint: balanced 0.5" in text(turbo=True, **repaint).splitlines()[-2]
    assert "Repaint: conservative" in text(turbo=True, **repaint, repaint_mode="conservative")
    source = SourceAudio(key="k", sample_rate=48_000, channels=2, samples=480_000)
    late = text(turbo=True, task="cover", cover_noise_strength=0.5, shift=1.0, source=source)
    assert "Cover noise: 0.5" in late and "Repaint" not in late
    assert late.startswith("Steps: 4 of 8, Scale: 7.0, Shift: 1.0\n")
    retake = text(turbo=True, retake_variance=0.1, retake_seeds=(4, 5))
    assert "Retake: 0.1 of seeds 4,5" in retake


def test_it_names_nothing_that_flow_edit_does_not_do() -> None:
    edit: dict[str, Any] = {
        "flow_edit_morph": True,
        "sampler_mode": "heun",
        "cover_noise_strength": 0.5,
    }
    info = text(turbo=True, **edit, task="cover")
    assert "Flow-edit: 0 to 1, 1 noises" in info and info.startswith("Steps: 8, ")
    assert not any(word in info for word in ("DCW", "Sampler", "Cover noise"))
    late = text(turbo=True, **edit, flow_edit_n_min=0.3, task="cover")
    assert late.startswith("Steps: 6 of 8, ")


def test_a_mock_leaves_no_steps_out() -> None:
    late = {"task": "cover", "cover_noise_strength": 0.5, "codes": ((1, 2),)}
    assert text(turbo=True, mock=True, **late).startswith("Steps: 8, ")


def test_a_mock_corrects_nothing() -> None:
    assert "DCW" not in text(turbo=True, mock=True)
