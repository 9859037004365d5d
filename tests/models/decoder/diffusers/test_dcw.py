"""DCW through the whole engine, against the rule written out in numpy (plain.py)."""

from typing import Any

import pytest
import torch

from acestep_ray.decoder.protocol import DcwMode, DecodeRequest
from tests.models.decoder.diffusers.plain import Numbers, model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.tiny import Tiny, noise, request
from tests.models.decoder.diffusers.upstream import TEXT2MUSIC, Side, all_of, lengthened, silence

EVEN, ODD = 250, 251


def close(ours: torch.Tensor, theirs: Any) -> None:
    assert ours.abs().max() > 0.1
    expected = torch.from_numpy(theirs).float()
    torch.testing.assert_close(ours.cpu(), expected, atol=2e-4, rtol=1e-4)


def far(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() > 2e-3


def expected(tiny: Tiny, asked: DecodeRequest, side: Side, start: Numbers, frames: int) -> Numbers:
    times = times_of(asked.steps, asked.shift)
    return sampled(asked, start, times, model_of(tiny, asked, side, frames))


def on(**values: Any) -> dict[str, Any]:
    """Strengths above the usual, so that a part that is missing is visible."""
    return {"dcw_enabled": True, "dcw_scaler": 0.3, "dcw_high_scaler": 0.2, "steps": 4} | values


@pytest.mark.parametrize("frames", [EVEN, ODD])
@pytest.mark.parametrize("mode", ["low", "high", "double", "pix"])
def test_each_mode_is_the_written_rule(turbo: Tiny, mode: DcwMode, frames: int) -> None:
    asked = request(**on(dcw_mode=mode, seconds=frames / 25, seeds=(7, 8)))
    ours = turbo.latents(asked)
    assert ours.shape[1] == frames
    side = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, frames)))
    start = numbers(noise(asked.seeds, frames))
    close(ours, expected(turbo, asked, side, start, frames))
    far(ours, turbo.latents(asked.model_copy(update={"dcw_enabled": False})))


def test_the_usual_strengths_are_the_written_rule(turbo: Tiny) -> None:
    asked = request(dcw_enabled=None, steps=8)
    on_by_name = asked.model_copy(update={"dcw_enabled": True})
    assert (asked.dcw_mode, asked.dcw_scaler, asked.dcw_high_scaler) == ("double", 0.05, 0.02)
    side = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, EVEN)))
    start = numbers(noise(asked.seeds, EVEN))
    ours = turbo.latents(asked)
    close(ours, expected(turbo, on_by_name, side, start, EVEN))
    far(ours, turbo.latents(request(steps=8)))


def test_a_piece_that_is_filled_up_is_corrected_with_what_fills_it(turbo: Tiny) -> None:
    asked = request(**on(seconds=2.2))
    nothing = silence(turbo.pipeline, 0)
    side = Side(TEXT2MUSIC, all_of(lengthened(turbo.pipeline, nothing)))
    start = numbers(noise(asked.seeds, 128))
    close(turbo.latents(asked), expected(turbo, asked, side, start, 55)[:, :55])


def test_it_is_on_for_turbo_models_and_off_for_others_unless_told(turbo: Tiny, base: Tiny) -> None:
    """As upstream since August 2026: base models make noise with it."""
    for tiny, usual in ((turbo, True), (base, False)):
        told = tiny.latents(request(dcw_enabled=usual, steps=4))
        assert torch.equal(tiny.latents(request(dcw_enabled=None, steps=4)), told)
        far(tiny.latents(request(**on(dcw_enabled=not usual))), told)


@pytest.mark.parametrize(
    "values",
    [
        {"dcw_scaler": 0.0, "dcw_high_scaler": 0.0},
        {"dcw_mode": "low", "dcw_scaler": 0.0},
        {"dcw_mode": "pix", "dcw_scaler": 0.0},
    ],
)
def test_without_strength_it_is_off_bit_for_bit(turbo: Tiny, values: dict[str, Any]) -> None:
    assert torch.equal(turbo.latents(request(**on(**values))), turbo.latents(request(steps=4)))


def test_a_last_step_is_not_moved(turbo: Tiny) -> None:
    """There is nothing left to correct: the step ends where its prediction is."""
    torch.testing.assert_close(
        turbo.latents(request(**on(steps=1))), turbo.latents(request(steps=1))
    )


def test_a_take_is_the_same_alone_and_in_a_batch(turbo: Tiny) -> None:
    both = turbo.latents(request(**on(seeds=(3, 4))))
    for index, seed in enumerate((3, 4)):
        alone = turbo.latents(request(**on(seeds=(seed,))))
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-4, rtol=1e-4)
