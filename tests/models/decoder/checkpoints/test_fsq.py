"""Audio codes to values: the checkpoint holds no code levels, so loading computes them."""

from pathlib import Path
from typing import Any

import pytest
import torch

# model-facts 1.4: mixed radix over levels 8 8 8 5 5 5, lowest digit first, mapped to -1..1.
VECTORS = {
    0: (-1.0, -1.0, -1.0, -1.0, -1.0, -1.0),
    1: (-0.7142857, -1.0, -1.0, -1.0, -1.0, -1.0),
    512: (-1.0, -1.0, -1.0, -0.5, -1.0, -1.0),
    12345: (-0.7142857, 1.0, -1.0, 1.0, 1.0, -1.0),
    63999: (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", ["upstream", "diffusers"])
def test_codes_are_spread_as_published(
    layout: str, dtype: torch.dtype, upstream: Path, turbo: Path, loaded: Any
) -> None:
    folder, model = (upstream, "acestep-v15-turbo") if layout == "upstream" else (turbo, "")
    quantizer = loaded(folder, model, dtype).pipeline.audio_tokenizer.quantizer
    assert quantizer.codebook_size == 64_000
    codes = quantizer.get_codes_from_indices(torch.tensor([list(VECTORS)]))[0, 0]
    assert torch.allclose(codes, torch.tensor(list(VECTORS.values())), atol=1e-6)


def test_latents_become_five_codes_a_second_and_back(upstream: Path, loaded: Any) -> None:
    pipeline = loaded(upstream, "acestep-v15-turbo", torch.float32).pipeline
    latents = torch.randn(1, 50, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        quantized, codes = pipeline.audio_tokenizer.tokenize(latents)
        again = pipeline.audio_tokenizer.quantizer.get_output_from_indices(codes)
        detokenized = pipeline.audio_token_detokenizer(quantized)
    assert codes.shape == (1, 10, 1)
    assert int(codes.min()) >= 0
    assert int(codes.max()) < 64_000
    assert len(set(codes.flatten().tolist())) > 1
    assert torch.allclose(again, quantized, atol=1e-5)
    assert detokenized.shape == (1, 50, 64)
