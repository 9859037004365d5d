"""The full-size random model is as large as the published one, so measurements hold."""

from pathlib import Path

import pytest

from acestep_ray.decoder.checkpoints.modules import build
from acestep_ray.decoder.checkpoints.sizes import FULL_2B, SIZES, Size
from acestep_ray.decoder.checkpoints.upstream import module_configs


def parameters(size: Size) -> dict[str, int]:
    configs = module_configs(size.dit, Path("config.json"))
    configs |= {"vae": size.vae, "text_encoder": size.text_encoder}
    return {
        name: sum(t.numel() for t in build(name, config, Path(name)).state_dict().values())
        for name, config in configs.items()
    }


def test_full_2b_has_the_published_weights() -> None:
    """Bytes in bf16 from model-facts 1.1: DiT file 4.7 GB, text encoder 1.19 GB, VAE to the KB."""
    count = parameters(FULL_2B)
    vae, text = 2 * count.pop("vae"), 2 * count.pop("text_encoder")
    header = 337_431_388 - vae
    assert 0 < header < 50_000
    assert text == pytest.approx(1.19e9, rel=0.01)
    assert 2 * count["condition_encoder"] == pytest.approx(1.2e9, rel=0.02)
    assert 2 * count["audio_token_detokenizer"] == pytest.approx(200e6, rel=0.06)
    assert 2 * sum(count.values()) == pytest.approx(4.7e9, rel=0.03)


@pytest.mark.parametrize("name", SIZES)
def test_frame_maths_are_the_same_in_every_size(name: str) -> None:
    size = SIZES[name]
    product = 1
    for ratio in size.vae["downsampling_ratios"]:
        product *= ratio
    assert (product, size.vae["sampling_rate"]) == (1920, 48_000)
    assert size.vae["decoder_input_channels"] == size.dit["audio_acoustic_hidden_dim"] == 64
    assert size.dit["in_channels"] == 3 * 64
    assert size.dit["fsq_input_levels"] == [8, 8, 8, 5, 5, 5]
    assert size.dit["pool_window_size"] == 5
    assert size.dit["text_hidden_dim"] == size.text_encoder["hidden_size"]
