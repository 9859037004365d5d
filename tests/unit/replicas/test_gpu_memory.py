"""The GPU memory of engines, compared with numbers of the published models."""

import pytest

from acestep_ray.errors import GpuMemoryError
from acestep_ray.replicas.gpu_memory import (
    QUANTIZED,
    Need,
    check_share,
    decoder_needs,
    offloading_needs,
    planner_needs,
)
from acestep_ray.settings import Settings
from acestep_ray.settings.presets import PRESETS, SMALLEST, SMALLEST_GPU

GIB = 2**30
DIT_2B = {"hidden_size": 2048, "intermediate_size": 6144}
DIT_XL = {"hidden_size": 2560, "intermediate_size": 9728}
DECODER_2B = 3_160_000_000
MATRICES_2B, MATRICES_XL = 1_573_912_576, 4_166_778_880
"""Of the transformer: what is kept in 8 bits."""
OTHERS = {
    "condition_encoder": 608_369_664,
    "audio_tokenizer": 105_032_198,
    "audio_token_detokenizer": 105_011_776,
    "vae": 168_695_426,
    "text_encoder": 595_776_512,
}
"""Parameters of the published models' other modules."""
DECODER_XL = 5_500_000_000
HEADS = {"num_key_value_heads": 8, "head_dim": 128}
LMS = {
    "0.6B": (662_000_000, {**HEADS, "num_hidden_layers": 28}),
    "1.7B": (1_850_000_000, {**HEADS, "num_hidden_layers": 28}),
    "4B": (4_190_000_000, {**HEADS, "num_hidden_layers": 36}),
}


def total(needs: list[Need]) -> float:
    return sum(need.size for need in needs) / 1e9


def test_a_decoder_takes_its_weights_and_one_take() -> None:
    needs = decoder_needs(DECODER_2B, DIT_2B, 600)
    assert [need.what for need in needs] == ["weights", "one take of 600 s", "CUDA"]
    assert needs[0].size == 6_320_000_000
    # Two rows of 7,500 tokens, 8,192 wide, and their mask: 1.6 GB, more than the VAE's tile.
    assert needs[1].size == pytest.approx(1.59e9, rel=0.01)
    assert total(decoder_needs(DECODER_2B, DIT_2B, 60)) == pytest.approx(6.32 + 1.4 + 0.6)
    assert total(decoder_needs(DECODER_2B, DIT_2B, 60, 4)) == pytest.approx(12.64 + 2.8 + 0.6)


def test_a_planner_takes_its_weights_and_one_guided_plan() -> None:
    needs = planner_needs(*LMS["0.6B"], context=8192)
    # 28 layers x 8 heads x 128, keys and values of 2 bytes, two rows of 8,192 tokens.
    assert needs[1].size == 1_879_048_192
    assert total(needs) == pytest.approx(1.324 + 1.879 + 0.3 + 0.6, rel=1e-3)


@pytest.mark.parametrize(
    ("preset", "gpu", "lm", "xl"),
    [
        ("4gb", 4 * GIB - 600_000_000, "0.6B", False),
        ("6gb", 6 * GIB - 600_000_000, "0.6B", False),
        ("8gb", 8 * GIB - 600_000_000, "0.6B", False),  # the rest is the desktop's
        ("8gb", 11 * GIB, "0.6B", True),
        ("12gb", 12 * GIB, "0.6B", False),
        ("12gb", 16 * GIB, "0.6B", False),
        ("24gb", 24 * GIB, "1.7B", False),
        ("24gb", 24 * GIB, "1.7B", True),
        ("24gb", 80 * GIB, "4B", True),
        ("box", 16 * GIB, "4B", True),
        ("cluster", 16 * GIB, "4B", True),
    ],
)
def test_presets_hold_what_they_promise(preset: str, gpu: int, lm: str, xl: bool) -> None:
    """Computed by the sums only: it was not measured on such GPUs."""
    chosen = PRESETS[preset]
    scaling = chosen["scaling"]
    context = chosen.get("lm", {}).get("context", 8192)
    if share := scaling["planner"]["num_gpus"]:
        check_share("planner", planner_needs(*LMS[lm], context), share, gpu)
    check_share("decoder", decoder_of(preset, xl=xl), scaling["decoder"]["num_gpus"], gpu)
    assert scaling["planner"]["num_gpus"] + scaling["decoder"]["num_gpus"] <= 2


def test_memory_that_is_too_small_is_reported_with_the_sum() -> None:
    with pytest.raises(GpuMemoryError) as refusal:
        check_share("Decoder", decoder_needs(DECODER_2B, DIT_2B, 600), 0.6, 12 * GIB)
    assert str(refusal.value) == (
        "The Decoder needs 8.5 GB of a GPU (weights 6.3 GB + one take of 600 s 1.6 GB + "
        "CUDA 0.6 GB), but its num_gpus 0.6 of 12.9 GB is 7.7 GB: give it a larger share or a "
        "larger GPU, or choose a smaller model or preset (the smallest preset, "
        "ACESTEP_PRESET=4gb, is for one of 4 GB)."
    )


@pytest.mark.parametrize("preset", ["4gb", "8gb", "12gb", "24gb", "box"])
def test_a_gpu_of_3_gb_is_told_that_it_does_not_do(preset: str) -> None:
    """The error is the message of the first replica that starts there."""
    share = PRESETS[preset]["scaling"]["decoder"]["num_gpus"]
    as_cuda_reports = 3_110_000_000
    with pytest.raises(GpuMemoryError) as refusal:
        check_share("Decoder", decoder_of(preset), share, as_cuda_reports)
    assert str(refusal.value).endswith(
        f"its num_gpus {share:g} of 3.1 GB is {share * 3.11:.1f} GB: a GPU of this size is not "
        "served yet (the smallest preset, ACESTEP_PRESET=4gb, is for one of 4 GB; "
        "docs/operations.md says what to do with a smaller one)."
    )


@pytest.mark.parametrize("preset", ["8gb", "12gb", "24gb"])
def test_a_gpu_of_6_gb_is_led_to_a_smaller_preset(preset: str) -> None:
    share = PRESETS[preset]["scaling"]["decoder"]["num_gpus"]
    with pytest.raises(GpuMemoryError) as refusal:
        check_share("Decoder", decoder_of(preset), share, 6_220_000_000)
    assert "choose a smaller model or preset (the smallest preset, ACESTEP_PRESET=4gb" in str(
        refusal.value
    )


def test_with_offload_the_largest_module_counts() -> None:
    needs = decoder_of("6gb")
    assert [need.what for need in needs] == [
        "the transformer", "one take of 600 s", "the audio tokenizer", "CUDA",
    ]  # fmt: skip
    # 1.576 billion parameters, of which all but 1.5 million have one byte and a share of the
    # scales, and a step of 600 s.
    assert total(needs) == pytest.approx(1.638 + 1.593 + 0.210 + 0.6, rel=1e-3)
    assert total(decoder_of("4gb")) == pytest.approx(1.638 + 0.779 + 0.210 + 0.6, rel=2e-3)
    few = {"transformer": 10, "vae": 20, "text_encoder": 30}
    assert [need.what for need in offloading_needs(few, DIT_2B, 1)][:2] == ["the vae", "its work"]


def decoder_of(preset: str, *, xl: bool = False) -> list[Need]:
    """What the decoder needs with a preset."""
    parameters, dit, matrices = (
        (DECODER_XL, DIT_XL, MATRICES_XL) if xl else (DECODER_2B, DIT_2B, MATRICES_2B)
    )
    settings = Settings.model_validate({"preset": preset})
    in_one_byte = matrices if settings.dit.quantization else 0
    seconds = settings.limits.duration
    if not settings.dit.offload:
        return decoder_needs(parameters, dit, seconds, in_one_byte=in_one_byte)
    transformer = parameters - sum(OTHERS.values())
    sizes = {name: 2 * number for name, number in OTHERS.items()}
    sizes["transformer"] = 2 * transformer - int(in_one_byte * (2 - QUANTIZED))
    return offloading_needs(sizes, dit, seconds)


def test_the_smallest_preset_is_for_the_smallest_gpu() -> None:
    share = PRESETS[SMALLEST]["scaling"]["decoder"]["num_gpus"]
    check_share("Decoder", decoder_of(SMALLEST), share, SMALLEST_GPU)
    with pytest.raises(GpuMemoryError):
        check_share("Decoder", decoder_of("6gb"), share, SMALLEST_GPU)


def test_the_sum_is_compared_to_the_byte() -> None:
    needs = [Need("weights", 600), Need("CUDA", 400)]
    check_share("planner", needs, 0.5, 2000)
    with pytest.raises(GpuMemoryError):
        check_share("planner", needs, 0.5, 1998)
