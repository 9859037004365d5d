"""Adapters made by PEFT and by LyCORIS' rules: what they do to the latents, and what they leave."""

import copy
import json
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoKrConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lokr import LoKrLayer
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from acestep_ray.adapters.cache import FileCache
from acestep_ray.adapters.files import files_at
from acestep_ray.adapters.library import AdapterLibrary, LocalAdapter
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.upstream import upstream_name
from acestep_ray.decoder.diffusers.adapter_weights import _lokr_factor
from acestep_ray.decoder.diffusers.adapters import MOST_MODELS, AdaptedModels, same_weights
from acestep_ray.decoder.diffusers.loop import denoise
from acestep_ray.decoder.protocol import AdapterUse, DecoderError, OutOfMemoryError, Sources
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, request

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CLOSE = 1e-5


@pytest.fixture(scope="module")
def tiny(checkpoints: Path) -> Tiny:
    """Its own, because tests look at what it keeps."""
    return Tiny.of(load(checkpoints, "acestep-v15-turbo", str(DEVICE), torch.float32))


class Made:
    """A folder of adapters, and the latents that PEFT's own models make with each."""

    def __init__(self, tiny: Tiny, folder: Path) -> None:
        self._tiny = tiny
        self.folder = folder

    def save(self, name: str, config: Any, seed: int) -> Path:
        """A random adapter as PEFT writes it."""
        torch.manual_seed(seed)
        model = get_peft_model(same_weights(self._tiny.pipeline.transformer), config)
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name or "lokr_" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(self.folder / name)
        return self.folder / name

    def expected(self, *names: str, scales: tuple[float, ...] = ()) -> torch.Tensor:
        """Latents of a model that PEFT itself has loaded the adapters into, in its own way."""
        model: Any = copy.deepcopy(self._tiny.pipeline.transformer)
        for name, scale in zip(names, scales or (1.0,) * len(names), strict=True):
            # One around the other: each adds its own part to what the inner one returns.
            wrapped = PeftModel.from_pretrained(model, str(self.folder / name))
            for module in wrapped.modules():
                if isinstance(module, LoraLayer | LoKrLayer):
                    cast("Any", module).set_scale("default", scale)
            model = wrapped.merge_and_unload()
        pipeline = self._tiny.pipeline
        adapted = type(pipeline)(**pipeline.components | {"transformer": model.eval()})
        return self._tiny.latents_by(adapted, request())

    async def local(self, *names: str) -> Sources:
        library = AdapterLibrary(files_at(str(self.folder), 0), FileCache(self.folder / "cache", 0))
        return Sources(adapters={name: await library.local(name) for name in names})


@pytest.fixture(scope="module")
def made(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = Made(tiny, tmp_path_factory.mktemp("adapters"))
    made.save("lora", LoraConfig(r=4, lora_alpha=8, target_modules=ATTENTION), 1)
    made.save("stabilised", LoraConfig(r=4, use_rslora=True, target_modules=ATTENTION), 2)
    made.save(
        "uneven",
        LoraConfig(
            r=4,
            lora_alpha=6,
            target_modules=[*ATTENTION, "gate_proj", "time_proj", "condition_embedder"],
            rank_pattern={"to_k": 2},
            alpha_pattern={"to_v": 1},
        ),
        3,
    )
    made.save("dora", LoraConfig(r=2, use_dora=True, target_modules=["to_q", "to_v"]), 4)
    made.save("lokr", LoKrConfig(r=2, alpha=6, target_modules=ATTENTION), 5)
    patterns: dict[str, Any] = {"rank_pattern": {"to_k": 1}, "alpha_pattern": {"to_v": 1}}
    made.save("patterns", LoKrConfig(r=2, alpha=6, target_modules=ATTENTION, **patterns), 7)
    made.save("both", LoKrConfig(r=1, alpha=2, decompose_both=True, target_modules=ATTENTION), 6)
    return made


def use(*names: str, scales: tuple[float, ...] = ()) -> tuple[AdapterUse, ...]:
    given = scales or (1.0,) * len(names)
    return tuple(AdapterUse(name=n, scale=s) for n, s in zip(names, given, strict=True))


@pytest.mark.parametrize(
    "name", ["lora", "stabilised", "uneven", "dora", "lokr", "patterns", "both"]
)
async def test_latents_are_those_of_pefts_own_forward(tiny: Tiny, made: Made, name: str) -> None:
    plain = tiny.latents(request())
    ours = tiny.latents(request(adapters=use(name)), await made.local(name))
    expected = made.expected(name)
    assert (expected - plain).abs().max() > 100 * CLOSE, "the adapter has an effect"
    assert (ours - expected).abs().max() < CLOSE * plain.abs().max()


async def test_two_adapters_with_scales(tiny: Tiny, made: Made) -> None:
    for names in (("lora", "stabilised"), ("lokr", "lora"), ("lokr", "both")):
        scales = (0.5, -0.75)
        asked = request(adapters=use(*names, scales=scales))
        ours = tiny.latents(asked, await made.local(*names))
        expected = made.expected(*names, scales=scales)
        assert (ours - expected).abs().max() < CLOSE * expected.abs().max(), names
        other_order = request(adapters=use(*names[::-1], scales=scales[::-1]))
        assert torch.equal(tiny.latents(other_order, await made.local(*names)), ours)


async def test_a_scale_of_zero_changes_nothing(tiny: Tiny, made: Made) -> None:
    asked = request(adapters=use("lora", "lokr", scales=(0.0, 0.0)))
    assert torch.equal(
        tiny.latents(asked, await made.local("lora", "lokr")), tiny.latents(request())
    )


async def test_interleaved_jobs_never_influence_one_another(tiny: Tiny, made: Made) -> None:
    sources = await made.local("lora", "lokr", "dora")
    kinds = [(), use("lora"), use("lokr", scales=(0.5,)), use("lora", scales=(0.25,)), use("dora")]
    first = [tiny.latents(request(adapters=kind), sources) for kind in kinds]
    state = {name: t.clone() for name, t in tiny.pipeline.transformer.state_dict().items()}
    for index in (0, 1, 0, 2, 1, 3, 0, 4, 2, 0, 3, 1, 4, 0):
        assert torch.equal(tiny.latents(request(adapters=kinds[index]), sources), first[index])
    after = tiny.pipeline.transformer.state_dict()
    assert after.keys() == state.keys(), "the model's own modules have no adapter in them"
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())


async def test_twenty_adapters_through_the_memory_of_three(tiny: Tiny, made: Made) -> None:
    names = [f"one of twenty {number}" for number in range(20)]
    for number, name in enumerate(names):
        made.save(name, LoraConfig(r=4, target_modules=ATTENTION), number)
    sources = await made.local(*names)
    size = AdaptedModels(tiny.pipeline)
    size.get(use(names[0]), sources.adapters)
    models = AdaptedModels(tiny.pipeline, 3 * size.nbytes)
    first: dict[str, torch.Tensor] = {}
    for round_of in (names, names[::-1], names[::3]):
        for name in round_of:
            pipeline = models.get(use(name), sources.adapters)
            latents = tiny.latents_by(pipeline, request())
            assert torch.equal(first.setdefault(name, latents), latents)
            assert len(models.names) <= 3 and name in models.names
            assert models.nbytes <= 3 * size.nbytes
    assert len({tuple(one.flatten()[:4].tolist()) for one in first.values()}) == 20


async def test_combinations_are_few(tiny: Tiny, made: Made) -> None:
    sources = await made.local("lora", "stabilised", "uneven", "lokr", "patterns")
    models = AdaptedModels(tiny.pipeline)
    names = sorted(sources.adapters)
    pairs = [pair for size in (1, 2, 3) for pair in combinations(names, size)]
    assert len(pairs) > MOST_MODELS
    for pair in pairs:
        models.get(use(*pair), sources.adapters)
    assert len(models._models) == MOST_MODELS
    assert [tuple(name for name, _ in keys) for keys in models._models] == pairs[-MOST_MODELS:]


async def test_adapters_of_earlier_jobs_make_room(
    tiny: Tiny, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = await made.local("lora", "lokr")
    tiny.takes(request(adapters=use("lora")), sources)
    failures = [True]

    def once(*arguments: Any, **options: Any) -> torch.Tensor:
        if failures.pop() if failures else False:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoise(*arguments, **options)

    monkeypatch.setattr("acestep_ray.decoder.diffusers.engine.denoise", once)
    assert len(tiny.takes(request(), sources)) == 1
    assert tiny.engine.loaded_adapters() == frozenset()
    failures.append(True)
    with pytest.raises(OutOfMemoryError):
        tiny.takes(request(), sources)


async def test_an_adapter_in_two_combinations_is_in_memory_once(tiny: Tiny, made: Made) -> None:
    sources = await made.local("lora", "stabilised")
    models = AdaptedModels(tiny.pipeline)
    alone = models.get(use("lora"), sources.adapters)
    one = models.nbytes
    pair = models.get(use("lora", "stabilised"), sources.adapters)
    assert models.nbytes == 2 * one
    places = [
        {p.data_ptr() for n, p in pipeline.transformer.named_parameters() if "lora_A" in n}
        for pipeline in (alone, pair)
    ]
    assert places[0] < places[1]
    models.clear()
    assert (models.names, models.nbytes) == (frozenset(), 0)


async def test_a_changed_file_is_another_adapter(tiny: Tiny, made: Made) -> None:
    made.save("changes", LoraConfig(r=2, target_modules=["to_q"]), 1)
    asked = request(adapters=use("changes"))
    before = tiny.latents(asked, await made.local("changes"))
    made.save("changes", LoraConfig(r=2, target_modules=["to_q"]), 2)
    assert not torch.equal(tiny.latents(asked, await made.local("changes")), before)


def _upstream(key: str) -> str:
    prefix = "base_model.model."
    path, dot, end = key.removeprefix(prefix).partition(".lora_")
    named = upstream_name("transformer", f"{path}.weight")
    return prefix + named.removeprefix("decoder.").removesuffix(".weight") + dot + end


def _kohya(key: str) -> str:
    path, _, end = _upstream(key).removeprefix("base_model.model.").partition(".lora_")
    part = {"A.weight": "lora_down.weight", "B.weight": "lora_up.weight"}[end]
    return f"lora_unet_{path.replace('.', '_')}.{part}"


@pytest.mark.parametrize(
    ("rename", "keeps_config"),
    [
        (_upstream, True),
        (lambda key: key.replace("base_model.model.", "diffusion_model."), False),
        (lambda key: key.replace("base_model.model.", "transformer."), False),
        (_kohya, False),
    ],
)
async def test_other_names_of_the_same_layers(
    tiny: Tiny, made: Made, rename: Callable[[str], str], *, keeps_config: bool
) -> None:
    expected = tiny.latents(request(adapters=use("lora")), await made.local("lora"))
    tensors = load_file(made.folder / "lora" / "adapter_model.safetensors")
    renamed = {rename(key): tensor for key, tensor in tensors.items()}
    if keeps_config:
        folder = made.folder / "renamed"
        folder.mkdir(exist_ok=True)
        save_file(renamed, folder / "adapter_model.safetensors")
        config = (made.folder / "lora" / "adapter_config.json").read_text()
        (folder / "adapter_config.json").write_text(config)
    else:
        alphas = {f"{key.rsplit('.lora_', 1)[0]}.alpha": torch.tensor(8.0) for key in renamed}
        save_file(renamed | alphas, made.folder / "renamed file.safetensors")
    name = "renamed" if keeps_config else "renamed file"
    ours = tiny.latents(request(adapters=use(name)), await made.local(name))
    assert torch.equal(ours, expected)


async def test_an_alpha_in_diffusers_header(tiny: Tiny, made: Made) -> None:
    expected = tiny.latents(request(adapters=use("lora")), await made.local("lora"))
    tensors = load_file(made.folder / "lora" / "adapter_model.safetensors")
    config = json.dumps({"transformer.r": 4, "transformer.lora_alpha": 8})
    file = made.folder / "diffusers.safetensors"
    save_file(
        {key.replace("base_model.model", "transformer"): t for key, t in tensors.items()},
        file,
        {"format": "pt", "lora_adapter_metadata": config},
    )
    ours = tiny.latents(request(adapters=use("diffusers")), await made.local("diffusers"))
    assert torch.equal(ours, expected)


def lycoris(layers: Mapping[str, tuple[int, int]], rank: int, seed: int) -> dict[str, torch.Tensor]:
    """A LoKr adapter by LyCORIS' names: a whole left matrix, and a right one of two."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(shape, generator=generator)

    tensors: dict[str, torch.Tensor] = {}
    for name, (out, into) in layers.items():
        path = upstream_name("transformer", f"{name}.weight").removeprefix("decoder.")
        key = "lycoris_" + path.removesuffix(".weight").replace(".", "_")
        left_out, left_in = 4, 4
        tensors[f"{key}.lokr_w1"] = random(left_out, left_in)
        tensors[f"{key}.lokr_w2_a"] = random(out // left_out, rank)
        tensors[f"{key}.lokr_w2_b"] = random(rank, into // left_in)
        tensors[f"{key}.alpha"] = torch.tensor(float(2 * rank))
    return tensors


async def test_lokr_as_the_trainers_of_ace_step_write_it(tiny: Tiny, made: Made) -> None:
    transformer = tiny.pipeline.transformer
    layers = {
        name: (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (name.endswith(("to_q", "to_v", "time_proj")) or name == "condition_embedder")
    }
    tensors = lycoris(layers, 1, 3)
    save_file(tensors, made.folder / "lycoris.safetensors", {"lokr_config": "{}"})
    merged = same_weights(transformer)
    for name in layers:
        path = upstream_name("transformer", f"{name}.weight").removeprefix("decoder.")
        key = "lycoris_" + path.removesuffix(".weight").replace(".", "_")
        right = tensors[f"{key}.lokr_w2_a"] @ tensors[f"{key}.lokr_w2_b"]
        change = 2 * torch.kron(tensors[f"{key}.lokr_w1"], right)
        module = merged.get_submodule(name)
        module.weight = torch.nn.Parameter(module.weight + change.to(DEVICE), requires_grad=False)
    pipeline = tiny.pipeline
    adapted = type(pipeline)(**pipeline.components | {"transformer": merged})
    expected = tiny.latents_by(adapted, request())
    ours = tiny.latents(request(adapters=use("lycoris")), await made.local("lycoris"))
    assert (ours - expected).abs().max() < CLOSE * expected.abs().max()


async def test_a_lora_and_a_lokr_in_one_folder_have_factors_of_their_own(
    tiny: Tiny, made: Made
) -> None:
    folder = made.save("beside", LoraConfig(r=4, lora_alpha=64, target_modules=ATTENTION), 8)
    layers = {"layers.0.self_attn.to_q": (32, 32)}
    save_file(lycoris(layers, 1, 3), folder / "lokr_weights.safetensors")
    save_file(lycoris(layers, 1, 3), made.folder / "alone.safetensors")
    names = ["beside/lokr_weights.safetensors", "alone"]
    ours, alone = [
        tiny.latents(request(adapters=use(name)), await made.local(name)) for name in names
    ]
    assert torch.equal(ours, alone)


@pytest.mark.parametrize(
    ("alpha", "made_by", "factor"),
    [
        (128.0, {}, 128 / 16),
        (128.0, {"linear_alpha": 128, "rs_lora": True}, 128 / 4),  # older releases of LyCORIS
        (512.0, {"linear_alpha": 128, "rs_lora": True}, 512 / 16),  # newer ones
        (None, {"linear_alpha": 32}, 2.0),
        (None, {}, 1.0),
    ],
)
def test_the_factor_of_lycoris(alpha: float | None, made_by: dict[str, Any], factor: float) -> None:
    parts = {"lokr_w2_b": torch.zeros(16, 2)}
    if alpha is not None:
        parts["alpha"] = torch.tensor(alpha)
    assert _lokr_factor("to_q", parts, made_by, {}) == pytest.approx(factor)


LAYER = "layers.0.self_attn.to_q"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (
            {"layers.9.self_attn.q_proj.lora_A.weight": (2, 32)},
            "has the key layers.9.self_attn.q_proj.lora_A.weight, for which the model has no layer",
        ),
        (
            {f"{LAYER}.lora_A.weight": (2, 32), f"{LAYER}.lora_B.weight": (64, 2)},
            f"has matrices of [64, 2] and [2, 32] for the layer {LAYER} of [32, 32]: it was made",
        ),
        ({f"{LAYER}.lora_A.weight": (2, 32)}, f"has no lora_B for the layer {LAYER}"),
        (
            {"text_encoder.lora_A.weight": (2, 32)},
            "has the key text_encoder.lora_A.weight, for which the model has no layer",
        ),
        (
            {f"{LAYER}.lora_A.weight": (2, 32), f"{LAYER}.hada_w1_a": (2, 32)},
            f"has the key {LAYER}.hada_w1_a, which is of no LoRA or LoKr adapter",
        ),
        (
            {f"{LAYER}.lora_A.weight": (2, 32), f"{LAYER}.dora_scale": (1, 32)},
            f"has the key {LAYER}.dora_scale: weight decomposition (DoRA) of this kind cannot be",
        ),
        (
            {f"{LAYER}.lokr_w1": (4, 4), f"{LAYER}.lokr_w2": (4, 8)},
            f"has a product of [16, 32] for the layer {LAYER} of [32, 32]: it was made for another",
        ),
        (
            {
                f"{LAYER}.lokr_w1": (4, 4),
                f"{LAYER}.lokr_w2_a": (8, 8),
                f"{LAYER}.lokr_w2_b": (8, 8),
            },
            f"its matrices for the layer {LAYER} are not of a form that PEFT has",
        ),
        (
            {
                f"{LAYER}.lora_A.weight": (2, 32),
                f"{LAYER}.lora_B.weight": (32, 2),
                f"{LAYER}.alpha": (3,),
            },
            "has numbers that do not fit together",
        ),
        ({f"{LAYER}.lokr_w1": (4, 4)}, f"has no whole lokr_w2 for the layer {LAYER}"),
        (
            {f"{LAYER}.lokr_w1": (16, 1), f"{LAYER}.lokr_w2": (2, 32)},
            "Could not infer a `decompose_factor`",
        ),
    ],
)
async def test_what_does_not_fit_is_named(
    tiny: Tiny, made: Made, tensors: dict[str, tuple[int, ...]], words: str
) -> None:
    before = tiny.latents(request())
    file = made.folder / "foreign.safetensors"
    save_file({key: torch.ones(shape) for key, shape in tensors.items()}, file)
    sources = await made.local("foreign")
    with pytest.raises(DecoderError) as error:
        tiny.takes(request(adapters=use("foreign")), sources)
    assert words in str(error.value)
    assert str(error.value).startswith("The adapter foreign cannot be used: ")
    assert torch.equal(tiny.latents(request()), before)


async def test_a_file_that_is_gone_fails_one_job(tiny: Tiny) -> None:
    sources = Sources(adapters={"gone": LocalAdapter("gone", "1", Path("/gone.safetensors"))})
    with pytest.raises(DecoderError, match=r"gone\.safetensors cannot be read"):
        tiny.takes(request(adapters=use("gone")), sources)
