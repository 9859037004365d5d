"""The transformer's weights in 8 bits: how far its music is from that of the model as it is, how
much less memory they take, and that nothing else changes."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, get_peft_model

from acestep_ray.adapters.library import LocalAdapter
from acestep_ray.decoder.checkpoints import load as loading
from acestep_ray.decoder.checkpoints import weights
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.diffusers.adapters import same_weights
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.diffusers.quantised import (
    check_quantization,
    group_size,
    quantise,
    weight_bytes,
)
from acestep_ray.decoder.protocol import AdapterUse, Sources
from acestep_ray.settings.engine_names import Quantization
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, request

KINDS: tuple[Quantization, ...] = ("int8", "fp8")
FURTHEST = {"int8": 0.02, "fp8": 0.06}
"""Root mean square of the latents' difference from those of the model as it is, by that of the
latents; docs/operations.md has the figures."""


def tiny(checkpoints: Path, kind: Quantization) -> Tiny:
    smaller = partial(quantise, kind=kind)
    found = load(checkpoints, "acestep-v15-turbo", str(DEVICE), torch.float32, quantise=smaller)
    return Tiny.of(found)


def distance(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_near_those_of_the_model_as_it_is(
    checkpoints: Path, turbo: Tiny, kind: Quantization
) -> None:
    quantised = tiny(checkpoints, kind)
    asked = request(steps=8)
    exact, ours = turbo.latents(asked), quantised.latents(asked)
    assert 0 < distance(ours, exact) < FURTHEST[kind]
    assert torch.equal(quantised.latents(asked), ours), "the same again"
    assert torch.equal(tiny(checkpoints, kind).latents(asked), ours), "and after a restart"


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_counted(checkpoints: Path, turbo: Tiny, kind: Quantization) -> None:
    transformer = turbo.pipeline.transformer
    linear = [one for one in transformer.modules() if isinstance(one, torch.nn.Linear)]
    matrices = sum(one.weight.numel() for one in linear)
    # A scale for each row, or for int8 each group in a row, and there a zero point of one byte.
    rows = sum(one.out_features for one in linear)
    groups = sum(one.weight.numel() // group_size(one.in_features) for one in linear)
    scales = {"int8": 5 * groups, "fp8": 4 * rows}[kind]
    loaded = tiny(checkpoints, kind).pipeline.transformer
    assert weight_bytes(loaded) == weight_bytes(transformer) - 3 * matrices + scales


def test_the_device_never_holds_the_larger_weights(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it can be seen without a GPU: the weights are put on the CPU, made smaller there,
    and moved when they are."""
    where: dict[str, str] = {}
    fill = weights.fill

    def noted(module: torch.nn.Module, *others: object) -> None:
        where[type(module).__name__] = str(others[2])
        cast("Any", fill)(module, *others[:2], torch.device("cpu"), others[3])

    monkeypatch.setattr(loading, "fill", noted)
    monkeypatch.setattr(loading, "compute_buffers", lambda *_: None)
    monkeypatch.setattr(loading, "_check_silence", lambda *_: None)
    moved: list[tuple[str, int]] = []
    monkeypatch.setattr(
        torch.nn.Module,
        "to",
        lambda module, device: moved.append((str(device), weight_bytes(module))),
    )
    smaller = partial(quantise, kind="int8")
    load(checkpoints, "acestep-v15-turbo", "meta", torch.float32, quantise=smaller)
    assert where.pop("AceStepTransformer1DModel") == "cpu"
    assert set(where.values()) == {"meta"}
    assert [device for device, _ in moved] == ["meta"]
    assert moved[0][1] < 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_sums_do_not_overflow_in_16_bits(kind: Quantization) -> None:
    """Older GPUs compute in float16, which ends at 65,504; the true sums here are far below."""
    layer = torch.nn.Linear(6144, 8, bias=False, dtype=torch.float16)
    torch.nn.init.constant_(layer.weight, 0.01)
    x = torch.full((1, 6144), 100.0, dtype=torch.float16)
    expected = layer(x)
    quantise(layer, kind)
    assert expected.isfinite().all()
    assert (layer(x) - expected).abs().max() < 0.05 * expected.abs().max()


def test_the_published_widths_have_groups_of_128() -> None:
    widths = (256, 2048, 2560, 4096, 6144, 9728)
    assert {group_size(width) for width in widths} == {128}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_beside_weights_in_8_bits(
    checkpoints: Path, turbo: Tiny, tmp_path: Path, kind: Quantization
) -> None:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v"], init_lora_weights=False)
    get_peft_model(same_weights(turbo.pipeline.transformer), config).save_pretrained(str(tmp_path))
    adapter = LocalAdapter("a", kind, tmp_path / "adapter_model.safetensors", {"lora_alpha": 8})
    sources = Sources(adapters={"a": adapter})
    quantised = tiny(checkpoints, kind)
    with_it = request(adapters=(AdapterUse(name="a"),))
    plain, expected = quantised.latents(request()), turbo.latents(with_it, sources)
    ours = quantised.latents(with_it, sources)
    assert distance(ours, expected) < 0.05 < distance(ours, plain)
    assert torch.equal(quantised.latents(request()), plain)


def test_the_engine_says_how_its_weights_are_kept(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    engine = DiffusersDecoder.load(tmp_path, device="cpu", quantization="int8")
    assert engine.describe().quantization == "int8"


def test_fp8_needs_a_gpu_that_has_such_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    for capability, refused in (((8, 6), True), ((8, 9), False), ((9, 0), False)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, it=capability: it)
        check_quantization("int8", gpu)
        if refused:
            with pytest.raises(ValueError, match=r"8\.9 or more, and cuda:0 has 8\.6"):
                check_quantization("fp8", gpu)
        else:
            check_quantization("fp8", gpu)
