"""The language model's matrices in 4 bits: how far its logits are from those of the model as it is,
how much less memory they take, and that plans stay legal and the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from acestep_ray.planner.protocol import PlanRequest
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.tiny import make_tiny_lm
from acestep_ray.replicas.gpu_memory import FOUR_BIT, needs_of_planner
from acestep_ray.settings import Lm, Lyrics, Settings
from tests.models.planner.conftest import DEVICE

FURTHEST = 0.4
"""Root mean square of the logits' difference from those of the model as it is, by that of the
logits; docs/operations.md has the figure."""
SONG = PlanRequest(job_id="a", attempt=1, caption="calm", lyrics="la la", duration=10, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model whose rows are as long as a group of weights that share a scale."""
    folder = tmp_path_factory.mktemp("lms") / "acestep-5Hz-lm-wide"
    make_tiny_lm(folder, seed=1, hidden=64, head_dim=32)
    return folder


@pytest.fixture(scope="module")
def exact(folder: Path) -> LanguageModel:
    return load_lm(folder, Lm(device="cpu"))


@pytest.fixture(scope="module")
def small(folder: Path) -> LanguageModel:
    return load_lm(folder, Lm(device=DEVICE, quantization="nf4"))


def logits(lm: LanguageModel) -> torch.Tensor:
    ids = torch.tensor([lm.tokenizer.encode("A calm song of the sea, for piano.")])
    with torch.inference_mode():
        found: torch.Tensor = lm.model(ids.to(lm.device)).logits
    return found


def test_logits_are_near_those_of_the_model_as_it_is(
    exact: LanguageModel, small: LanguageModel
) -> None:
    ours, expected = logits(small), logits(exact)
    assert 0 < float((ours - expected).norm() / expected.norm()) < FURTHEST
    assert torch.equal(logits(small), ours)


def test_plans_are_legal_and_the_same_again(folder: Path, small: LanguageModel) -> None:
    def plan(lm: LanguageModel) -> object:
        planning = Planning(lm, Lm(caption_tokens=10), Lyrics(), 60.0)
        return planning.plan(SONG, lambda *_: None).model_copy(update={"elapsed": 0.0})

    first = plan(small)
    assert plan(small) == first
    assert plan(load_lm(folder, Lm(device=DEVICE, quantization="nf4"))) == first, "after a restart"


def test_matrices_take_four_bits_and_the_rest_stays(folder: Path, exact: LanguageModel) -> None:
    small = load_lm(folder, Lm(device=DEVICE, quantization="nf4"))  # its first use may repack it
    layers = [one for one in exact.model.model.layers.modules() if isinstance(one, nn.Linear)]
    numbers = sum(layer.weight.numel() for layer in layers)
    modules: Any = small.model.model.layers.modules()
    quantised = [one for one in modules if isinstance(one, nn.Linear)]
    assert len(quantised) == len(layers)
    weights_of: list[Any] = [one.weight for one in quantised]
    taken = sum(one.nbytes + one.quant_state.absmax.nbytes for one in weights_of)
    assert taken == numbers * FOUR_BIT
    assert torch.equal(small.model.lm_head.weight.cpu(), exact.model.lm_head.weight)
    for lm in (small, exact):  # or it would be in memory twice after a move
        assert lm.model.lm_head.weight is lm.model.model.embed_tokens.weight

    def weights(quantization: str) -> int:
        settings = Settings.model_validate(
            {
                "planner": "pt",
                "checkpoints": folder.parent,
                "lm": {"quantization": quantization},
            }
        )
        return next(n.size for n in needs_of_planner(settings) if n.what == "weights")

    assert weights("") - weights("nf4") == int(numbers * (2 - FOUR_BIT))


def test_it_is_for_the_engine_that_can_do_it() -> None:
    with pytest.raises(ValidationError, match="not for the vllm planner"):
        Settings.model_validate({"planner": "vllm", "lm": {"quantization": "nf4"}})
