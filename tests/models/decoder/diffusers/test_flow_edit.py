"""Flow-edit against a plain writing of it, end to end."""

from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.protocol import DecodeRequest
from tests.models.decoder.diffusers.plain import (
    Model,
    Numbers,
    apg,
    limited,
    model_of,
    numbers,
    times_of,
)
from tests.models.decoder.diffusers.test_latents import encoded
from tests.models.decoder.diffusers.tiny import (
    CHANNELS,
    DEVICE,
    Tiny,
    alike,
    request,
    source,
)
from tests.models.decoder.diffusers.upstream import COVER, TEXT2MUSIC, Side, all_of, silence

FRAMES = 150
SOURCE = source(FRAMES * 1920)
ASKED: dict[str, Any] = {
    "flow_edit_morph": True,
    "flow_edit_source_caption": "a lone piano",
    "flow_edit_source_lyrics": "[verse]\nmorning comes",
    "steps": 5,
}


def noises(seed: int) -> Any:
    """One noise after the other, from the generator of a take."""
    generator = torch.Generator(DEVICE).manual_seed(seed)
    while True:
        yield numbers(torch.randn(1, FRAMES, CHANNELS, generator=generator, device=DEVICE))


class Branch:
    """The velocities by one text: guidance, clamp and EMA, once per step."""

    def __init__(self, asked: DecodeRequest, model: Model, without: Model | None) -> None:
        self.asked, self.model, self.without = asked, model, without
        self.running: Any = 0.0
        self.previous: Numbers | None = None

    def velocity(self, inputs: list[Numbers], t: float) -> Numbers:
        asked, found, memories = self.asked, [], []
        for x in inputs:
            v, memory = self.model(x, t), self.running
            low, high = asked.cfg_interval
            if self.without and asked.guidance_scale > 1 and low <= t <= high:
                v, memory = apg(v, self.without(x, t), asked.guidance_scale, self.running)
            v = limited(x, v, asked.velocity_norm_threshold)
            if self.previous is not None:
                e = asked.velocity_ema_factor
                v = (1 - e) * v + e * self.previous
            found.append(v)
            memories.append(memory)
        self.running = np.mean(memories, axis=0)
        self.previous = np.mean(found, axis=0)
        return self.previous


def edited(
    tiny: Tiny, asked: DecodeRequest, src: Numbers, side: Side, seed: int, *, guided: bool
) -> Numbers:
    """z moves by the difference of the two velocities, and at last by the target's alone."""
    original = asked.model_copy(
        update={
            "caption": asked.flow_edit_source_caption,
            "lyrics": asked.flow_edit_source_lyrics,
        }
    )
    away, towards = (
        Branch(
            asked,
            model_of(tiny, one, side, FRAMES),
            model_of(tiny, one, side, FRAMES, text=False) if guided else None,
        )
        for one in (original, asked)
    )
    times = [*asked.timesteps, 0.0] if asked.timesteps else times_of(asked.steps, asked.shift)
    steps = len(times) - 1
    first, last = int(steps * asked.flow_edit_n_min), int(steps * asked.flow_edit_n_max)
    drawn = noises(seed)
    z = src
    for i in range(first, last):
        t, after = times[i], times[i + 1]
        noise = [next(drawn) for _ in range(asked.flow_edit_n_avg)]
        sources = [(1 - t) * src + t * n for n in noise]
        targets = [z + xs - src for xs in sources]
        z = z + (after - t) * (towards.velocity(targets, t) - away.velocity(sources, t))
    if last < steps:
        t = times[last]
        x: Numbers = z + ((1 - t) * src + t * next(drawn)) - src
        for i in range(last, steps):
            x = x + (times[i + 1] - times[i]) * towards.velocity([x], times[i])
        return x
    return z


CASES: list[tuple[str, dict[str, Any]]] = [
    ("turbo", {}),
    ("turbo", {"timesteps": (0.97, 0.6, 0.31), "steps": 3}),  # not moved to the known times
    ("turbo", {"flow_edit_n_min": 0.2, "flow_edit_n_max": 0.65, "shift": 2.2}),
    ("turbo", {"flow_edit_n_avg": 3, "flow_edit_n_max": 0.8}),
    ("turbo", {"flow_edit_n_max": 0.0}),
    ("turbo", {"flow_edit_n_min": 1.0}),  # nothing is edited
    ("turbo", {"task": "cover-nofsq", "velocity_norm_threshold": 0.5, "velocity_ema_factor": 0.2}),
    ("base", {"guidance_scale": 5.0, "flow_edit_n_max": 0.8}),
    ("base", {"guidance_scale": 5.0, "flow_edit_n_avg": 2, "cfg_interval": (0.0, 0.9)}),
    ("base", {"guidance_scale": 5.0, "retake_variance": 0.3, "retake_seeds": (99, 100)}),
]


@pytest.mark.parametrize(("kind", "values"), CASES)
def test_the_edit_is_by_the_formula(
    turbo: Tiny, base: Tiny, kind: str, values: dict[str, Any]
) -> None:
    tiny = turbo if kind == "turbo" else base
    asked = request(seeds=(7, 8), **{**ASKED, **values})
    src = encoded(tiny, SOURCE)
    covers = asked.task != "text2music"
    side = Side(
        COVER if covers else TEXT2MUSIC,
        all_of(src if covers else silence(tiny.pipeline, FRAMES)),
    )
    found = tiny.latents(asked, SOURCE)
    for take, seed in enumerate(asked.retake_seeds or asked.seeds):
        expected = edited(tiny, asked, numbers(src), side, seed, guided=kind == "base")
        difference = np.abs(numbers(found[take : take + 1]) - expected).max()
        assert difference < 2e-4, f"take {take} of {values}"
    if asked.flow_edit_n_min < 1:
        assert np.abs(numbers(found) - numbers(src)).max() > 1e-2, "nothing was changed"


def test_other_samplers_and_corrections_do_nothing_in_it(base: Tiny) -> None:
    plain = request(**ASKED, guidance_scale=5.0)
    unheard = {
        "sampler_mode": "heun", "infer_method": "sde", "use_adg": True, "dcw_enabled": True,
        "cover_noise_strength": 0.5, "cover_strength": 0.2,
    }  # fmt: skip
    for task in ("text2music", "cover"):
        one = plain.model_copy(update={"task": task})
        other = one.model_copy(update=unheard)
        assert torch.equal(base.latents(one, SOURCE), base.latents(other, SOURCE)), task


def test_a_take_is_the_same_alone_and_among_others(turbo: Tiny) -> None:
    both = turbo.samples(request(**ASKED, seeds=(7, 8)), SOURCE)
    (alone,) = turbo.samples(request(**ASKED, seeds=(8,)), SOURCE)
    np.testing.assert_allclose(both[1], alone, atol=1e-5)
    assert not alike(both[:1], both[1:])


def test_off_is_as_before(turbo: Tiny) -> None:
    """A source that another client sends for a new song is not used."""
    asked = request(seconds=6.0)
    off = asked.model_copy(update={**ASKED, "flow_edit_morph": False, "steps": asked.steps})
    assert torch.equal(turbo.latents(asked), turbo.latents(off, SOURCE))
    repaint = request(task="repaint", repaint_end=2.0)
    told = repaint.model_copy(update={**ASKED, "steps": repaint.steps})
    assert alike(turbo.samples(repaint, SOURCE), turbo.samples(told, SOURCE))


def test_progress_goes_to_the_end(turbo: Tiny) -> None:
    seen: list[tuple[str, int, int]] = []
    asked = request(**ASKED, flow_edit_n_min=0.4)
    takes = turbo.engine.generate(asked, SOURCE, lambda *step: seen.append(step))
    assert len(list(takes)) == 1
    assert [step for stage, step, _ in seen if stage == "diffusion"] == [0, 3, 4, 5]
