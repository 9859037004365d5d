"""A seed fixes a take, for every task and sampler: alone, in a batch, after others, and again."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.protocol import DecodeRequest, Sources
from tests.models.decoder.diffusers.tiny import Tiny, alike, request, source

SOURCE = source(100 * 1920 + 700)
REFERENCED = Sources(reference=source(90 * 1920).source, reference_rate=48_000)
WINDOW = {"repaint_start": 1.0, "repaint_end": 3.0}
MORPH = {"flow_edit_morph": True, "flow_edit_source_caption": "a choir", "flow_edit_n_avg": 2}
TASKS: dict[str, tuple[dict[str, Any], Sources]] = {
    "new song": ({"seconds": 4.0}, Sources()),
    "reference": ({"seconds": 4.0}, REFERENCED),
    "codes": ({"codes": ((1, 2, 3, 4),)}, Sources()),
    "codes of each take": ({"codes": ((1, 2, 3), (4, 5, 6), (7, 8, 9))}, Sources()),
    "retake": ({"seconds": 4.0, "retake_seeds": (4, 5, 6), "retake_variance": 0.4}, Sources()),
    "cover": ({"task": "cover", "cover_strength": 0.5}, SOURCE),
    "cover with its source's noise": ({"task": "cover", "cover_noise_strength": 0.5}, SOURCE),
    "cover-nofsq": ({"task": "cover-nofsq"}, SOURCE),
    "repaint": ({"task": "repaint", "repaint_mode": "balanced"} | WINDOW, SOURCE),
    "outpaint": ({"task": "repaint", "repaint_start": -1.0, "repaint_end": 6.0}, SOURCE),
    "flow-edit": (MORPH, SOURCE),
    "lego": ({"task": "lego", "track_name": "drums"} | WINDOW, SOURCE),
    "extract": ({"task": "extract", "track_name": "vocals"}, SOURCE),
    "complete": ({"task": "complete", "track_classes": ("drums", "bass")}, SOURCE),
}
OF_TURBO = [name for name in TASKS if name not in ("lego", "extract", "complete")]
SAMPLERS: dict[str, dict[str, Any]] = {
    "euler": {},
    "heun": {"sampler_mode": "heun"},
    "sde": {"infer_method": "sde"},
    "sde with DCW": {"infer_method": "sde", "dcw_enabled": True},
}
SEEDS = (7, 8, 9)


def asking(task: str, sampler: str, **values: Any) -> DecodeRequest:
    return request(**{"steps": 3, "seeds": SEEDS} | TASKS[task][0] | SAMPLERS[sampler] | values)


def alone(asked: DecodeRequest, index: int) -> DecodeRequest:
    """The request of one of its takes, as a client sends it again from the reported values."""
    one = {"seeds": asked.seeds[index : index + 1], "retake_seeds": asked.retake_seeds}
    if asked.retake_seeds:
        one["retake_seeds"] = asked.retake_seeds[index : index + 1]
    codes = asked.codes[index : index + 1] if len(asked.codes) > 1 else asked.codes
    return asked.model_copy(update=one | {"codes": codes})


def check(tiny: Tiny, task: str, sampler: str, **values: Any) -> None:
    asked, sources = asking(task, sampler, **values), TASKS[task][1]
    takes = tiny.samples(asked, sources)
    torch.manual_seed(99)
    tiny.samples(request(task="cover", seeds=(3,)), SOURCE)
    assert alike(tiny.samples(asked, sources), takes), "other work changed it"
    # A batch is computed in another order than a single take, so numbers are rounded otherwise.
    rounding = 1e-5
    for index in range(len(SEEDS)):
        (one,) = tiny.samples(alone(asked, index), sources)
        np.testing.assert_allclose(one, takes[index], atol=2e-4)
        rounding = max(rounding, float(np.abs(one - takes[index]).max()))
    for one, other in combinations(takes, 2):
        assert np.abs(one - other).max() > 10 * rounding, "takes of different seeds are alike"


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("task", OF_TURBO)
def test_of_a_turbo_model(turbo: Tiny, task: str, sampler: str) -> None:
    check(turbo, task, sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("task", TASKS)
def test_of_a_base_model_with_guidance(base: Tiny, task: str, sampler: str) -> None:
    check(base, task, sampler, guidance_scale=3.0)
