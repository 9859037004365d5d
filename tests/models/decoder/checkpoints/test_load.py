"""Loading: the same weights in two layouts make the same music, bit for bit."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AceStepPipeline
from safetensors.torch import load_file, save_file

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.protocol import TASKS
from acestep_ray.errors import CheckpointError

DTYPES = [torch.float32, torch.bfloat16]
COMPONENTS = ("transformer", "condition_encoder", "vae", "text_encoder")
PAIR = ("audio_tokenizer", "audio_token_detokenizer")
CODES = "".join(f"<|audio_code_{code}|>" for code in range(0, 50_000, 2_500))


def weights(pipeline: Any) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": tensor
        for name in (*COMPONENTS, *PAIR)
        if getattr(pipeline, name) is not None
        for key, tensor in getattr(pipeline, name).state_dict().items()
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "guidance"), [("turbo", 1.0), ("base", 7.0)])
def test_both_layouts_give_the_same_latents(
    kind: str, guidance: float, dtype: torch.dtype, request: Any
) -> None:
    upstream, diffusers, loaded, generate = map(
        request.getfixturevalue, ("upstream", kind, "loaded", "generate")
    )
    one = loaded(upstream, f"acestep-v15-{kind}", dtype).pipeline
    other = loaded(diffusers, "", dtype).pipeline
    assert same(weights(one), weights(other))
    options = {"guidance_scale": guidance}
    assert torch.equal(generate(one, **options), generate(other, **options))
    codes = options | {"audio_codes": CODES}
    assert torch.equal(generate(one, **codes), generate(other, **codes))


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_what_diffusers_loads_itself(
    dtype: torch.dtype, base: Path, loaded: Any, generate: Any
) -> None:
    plain: Any = AceStepPipeline
    theirs = plain.from_pretrained(base, dtype=dtype)
    theirs.set_progress_bar_config(disable=True)
    ours = loaded(base, "", dtype).pipeline
    assert same(weights(ours), weights(theirs))
    assert torch.equal(generate(ours, guidance_scale=5.0), generate(theirs, guidance_scale=5.0))


@pytest.mark.parametrize("layout", ["upstream", "diffusers"])
def test_shards_hold_what_a_single_file_holds(
    layout: Any, tmp_path: Path, upstream: Path, loaded: Any
) -> None:
    folder = tmp_path / "sharded"
    model = make_tiny_checkpoint(folder, layout, shard_bytes=100_000)
    index = model if layout == "upstream" else model / "transformer"
    assert len(list(index.glob("*-of-*.safetensors"))) > 1
    assert not list(index.glob("model.safetensors"))
    sharded = load(folder, "", "cpu", torch.bfloat16).pipeline
    single = loaded(upstream, "acestep-v15-turbo", torch.bfloat16).pipeline
    assert same(weights(sharded), weights(single))


def test_fp32_files_load_as_bf16_rounded_once(tmp_path: Path, upstream: Path, loaded: Any) -> None:
    """XL models are stored in fp32."""
    make_tiny_checkpoint(tmp_path, dtype=torch.float32)
    wide = load(tmp_path, "", "cpu", torch.float32).pipeline
    narrow = load(tmp_path, "", "cpu", torch.bfloat16).pipeline
    rounded = {key: tensor.to(torch.bfloat16) for key, tensor in weights(wide).items()}
    assert same(rounded, weights(narrow))
    stored_narrow = loaded(upstream, "acestep-v15-turbo", torch.bfloat16).pipeline
    assert same(rounded, weights(stored_narrow))


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_pipeline_is_ready_to_run(dtype: torch.dtype, upstream: Path, loaded: Any) -> None:
    pipeline = loaded(upstream, "acestep-v15-turbo", dtype).pipeline
    for name in (*COMPONENTS, *PAIR):
        module = getattr(pipeline, name)
        assert not module.training
        for tensor in (*module.parameters(), *module.buffers()):
            assert tensor.device.type == "cpu"
            assert not tensor.requires_grad
        assert all(tensor.dtype == dtype for tensor in module.parameters())
    assert pipeline.transformer.dtype == dtype
    assert (pipeline.sample_rate, pipeline.latents_per_second) == (48_000, 25.0)
    assert pipeline.text_encoder.rotary_emb.inv_freq.dtype == torch.float32


def test_loading_leaves_torchs_global_state_alone(upstream: Path) -> None:
    """A seed set by a job, and the dtype of other code, must not depend on a parallel load."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load(upstream, "acestep-v15-base", "cpu", torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32


def test_weights_outlive_their_files(tmp_path: Path, upstream: Path, generate: Any) -> None:
    """The files are mapped only while loading: a download that replaces them stops no replica."""
    copy = shutil.copytree(upstream, tmp_path / "copy")
    pipeline = load(copy, "", "cpu", torch.bfloat16).pipeline
    expected = generate(pipeline, num_inference_steps=1)
    for file in copy.rglob("*.safetensors"):
        file.write_bytes(b"")
    assert torch.equal(generate(pipeline, num_inference_steps=1), expected)


def test_info_of_turbo(upstream: Path, loaded: Any) -> None:
    info = loaded(upstream, "acestep-v15-turbo", torch.bfloat16).info
    assert (info.name, info.layout) == ("acestep-v15-turbo", "upstream")
    assert info.turbo and info.has_audio_tokenizer
    assert info.tasks == ("text2music", "cover", "cover-nofsq", "repaint")


def test_info_of_base(base: Path, loaded: Any) -> None:
    info = loaded(base, "", torch.bfloat16).info
    assert (info.name, info.layout, info.turbo) == ("base", "diffusers", False)
    assert info.tasks == TASKS


def test_sft_models_know_three_tasks(tmp_path: Path, upstream: Path) -> None:
    """They use guidance, as base models do, but were tuned for the three tasks."""
    for name in ("vae", "Qwen3-Embedding-0.6B"):
        (tmp_path / name).symlink_to(upstream / name)
    shutil.copytree(upstream / "acestep-v15-base", tmp_path / "acestep-v15-sft")
    info = load(tmp_path, "", "cpu", torch.bfloat16).info
    assert not info.turbo
    assert info.tasks == ("text2music", "cover", "cover-nofsq", "repaint")


@pytest.mark.parametrize("layout", ["upstream", "diffusers"])
def test_without_audio_tokenizer_songs_but_no_covers(
    layout: Any, tmp_path: Path, generate: Any
) -> None:
    """Like the official xl-turbo-diffusers repository."""
    model = make_tiny_checkpoint(tmp_path / "m", layout, audio_tokenizer=False)
    without = load(tmp_path / "m", "", "cpu", torch.bfloat16)
    assert not without.info.has_audio_tokenizer
    assert without.info.tasks == ("text2music", "cover-nofsq", "repaint")
    assert generate(without.pipeline, num_inference_steps=1).isfinite().all()
    with pytest.raises(CheckpointError) as caught:
        without.require_audio_tokenizer()
    assert str(model) in str(caught.value)
    assert "`acestep-ray convert`" in str(caught.value)


def test_with_audio_tokenizer_nothing_is_required(upstream: Path, loaded: Any) -> None:
    loaded(upstream, "acestep-v15-turbo", torch.bfloat16).require_audio_tokenizer()


def test_text_encoder_stored_as_causal_lm(tmp_path: Path, upstream: Path, loaded: Any) -> None:
    """Some copies of Qwen3-Embedding hold ``model.`` before every name, and the tied head."""
    copy = shutil.copytree(upstream, tmp_path / "copy")
    file = copy / "Qwen3-Embedding-0.6B" / "model.safetensors"
    bare = load_file(file)
    tensors = {f"model.{name}": tensor for name, tensor in bare.items()}
    tensors["lm_head.weight"] = bare["embed_tokens.weight"].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    prefixed = load(copy, "acestep-v15-turbo", "cpu", torch.bfloat16).pipeline
    bare_one = loaded(upstream, "acestep-v15-turbo", torch.bfloat16).pipeline
    assert same(weights(prefixed), weights(bare_one))
