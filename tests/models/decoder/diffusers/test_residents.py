"""Offload: one module on the device at a time, and the same music.

No GPU is needed to count what is there: each move is seen, and on the CPU it changes nothing.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from acestep_ray.adapters.library import LocalAdapter
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.diffusers.adapters import same_weights
from acestep_ray.decoder.diffusers.quantised import quantise
from acestep_ray.decoder.diffusers.residents import MOVING, Residents
from acestep_ray.decoder.protocol import AdapterUse, DecodeRequest, Sources
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, music, request


@pytest.fixture(scope="module")
def adapter(turbo: Tiny, tmp_path_factory: pytest.TempPathFactory) -> LocalAdapter:
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)
    get_peft_model(same_weights(turbo.pipeline.transformer), config).save_pretrained(str(folder))
    return LocalAdapter("a", "1", folder / "adapter_model.safetensors")


PRETENDED = torch.device("cpu", 0)
"""The CPU, and yet another device than that without a number."""


def offloaded(checkpoints: Path, model: str, device: torch.device = DEVICE, **options: Any) -> Tiny:
    kind = options.get("quantization")
    smaller = partial(quantise, kind=kind) if kind else None
    loaded = load(checkpoints, model, "cpu", torch.float32, quantise=smaller)
    return Tiny.of(loaded, device, offload=True, **options)


SOURCE = Sources(source=music(96_000), source_rate=48_000, source_digest="s")
JOBS: dict[str, tuple[DecodeRequest, Sources]] = {
    "text2music": (request(steps=3), Sources()),
    "several takes": (request(seeds=(1, 2)), Sources()),
    "a reference": (
        request(),
        Sources(reference=music(48_000), reference_rate=48_000, reference_digest="r"),
    ),
    "codes": (request(codes=((1, 2, 3, 4, 5),) * 1), Sources()),
    "cover": (request(task="cover", cover_strength=0.5), SOURCE),
    "repaint": (request(task="repaint", repaint_start=0.5, repaint_end=1.0), SOURCE),
    "guided": (request(guidance_scale=5.0), Sources()),
    "flow-edit": (
        request(flow_edit_morph=True, flow_edit_source_caption="folk", task="text2music"),
        SOURCE,
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_the_music_is_the_same(checkpoints: Path, base: Tiny, name: str) -> None:
    asked, sources = JOBS[name]
    small = offloaded(checkpoints, "acestep-v15-base")
    assert torch.equal(small.latents(asked, sources), base.latents(asked, sources))


class Moves:
    """Sees which modules are on the device, by the moves of Residents."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there: set[int] = set()
        self.most = 0
        self.moved: list[str] = []

        def move(module: torch.nn.Module, device: torch.device) -> None:
            if device == torch.device("cpu"):
                self.there.discard(id(module))
            else:
                assert device == PRETENDED
                self.there.add(id(module))
                self.moved.append(type(module).__name__)
            self.most = max(self.most, len(self.there))

        monkeypatch.setattr("acestep_ray.decoder.diffusers.residents.move", move)


def test_one_module_is_on_the_device_at_a_time(
    checkpoints: Path, adapter: LocalAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = Moves(monkeypatch)
    small = offloaded(checkpoints, "acestep-v15-turbo", device=PRETENDED)
    small.takes(*JOBS["cover"])
    names = [type(getattr(small.pipeline, name)).__name__ for name in MOVING]
    assert set(names) <= set(moves.moved)
    moves.moved.clear()
    small.takes(*JOBS["text2music"])
    assert moves.moved == [names[0], names[1], names[3], names[4]], "each is moved once"
    small.takes(request(adapters=(AdapterUse(name="a"),)), Sources(adapters={"a": adapter}))
    small.takes(*JOBS["text2music"])
    assert moves.most == 1
    small.engine.free_memory()
    assert not moves.there


def test_adapters_and_weights_in_8_bits(
    checkpoints: Path, adapter: LocalAdapter, turbo: Tiny
) -> None:
    small = offloaded(checkpoints, "acestep-v15-turbo", quantization="int8")
    with_it, sources = request(adapters=(AdapterUse(name="a"),)), Sources(adapters={"a": adapter})
    plain = small.latents(request())
    first = small.latents(with_it, sources)
    assert not torch.equal(first, plain)
    assert torch.equal(small.latents(request()), plain)
    assert torch.equal(small.latents(with_it, sources), first)
    shared = small.pipeline.transformer.layers[0].mlp.up_proj.weight
    (adapted,) = small.engine._adapted._models.values()
    assert adapted.pipeline.transformer.layers[0].mlp.up_proj.weight is shared


def test_the_one_that_is_needed_again_stays(checkpoints: Path) -> None:
    small = offloaded(checkpoints, "acestep-v15-turbo")
    residents = small.engine._residents
    assert isinstance(residents, Residents)
    small.takes(request())
    assert residents.there is small.pipeline.vae
    residents.need(small.pipeline.transformer)
    residents.need(small.pipeline.transformer)
    assert residents.there is small.pipeline.transformer
