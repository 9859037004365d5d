"""The needs of the models in the settings, read from checkpoints of both layouts."""

from pathlib import Path

from acestep_ray.replicas.gpu_memory import needs_of_decoder, needs_of_planner
from acestep_ray.settings import Settings
from tests.unit.replicas.checkpoint_files import write_config, write_safetensors, write_tensors

DIT = {"hidden_size": 2048, "intermediate_size": 6144}


def decoder(checkpoints: Path, **args: object) -> list[tuple[str, int]]:
    fields = {"decoder": "diffusers", "checkpoints": checkpoints, "limits": {"duration": 30}}
    needs = needs_of_decoder(Settings.model_validate(fields | args))
    return [(need.what, need.size) for need in needs]


def test_upstreams_layout_counts_the_model_and_what_lies_beside_it(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "acestep-v15-turbo" / "model.safetensors", (1000, 1000))
    write_config(tmp_path / "acestep-v15-turbo", **DIT)
    write_safetensors(tmp_path / "vae" / "diffusion_pytorch_model.safetensors", (200_000,))
    write_safetensors(tmp_path / "Qwen3-Embedding-0.6B" / "model.safetensors", (300_000,))
    write_safetensors(tmp_path / "acestep-5Hz-lm-0.6B" / "model.safetensors", (9, 999_999))
    weights, take, cuda = decoder(tmp_path)
    assert weights == ("weights", 3_000_000)
    assert take[0] == "one take of 30 s"
    assert cuda[0] == "CUDA"
    assert decoder(tmp_path, dit={"dtype": "fp32"})[0] == ("weights", 6_000_000)


def test_weights_in_8_bits_are_those_of_the_transformers_matrices(tmp_path: Path) -> None:
    folder = tmp_path / "acestep-v15-turbo"
    shapes = {
        "decoder.layers.0.mlp.up_proj.weight": (100, 1000),
        "decoder.layers.0.norm.weight": (100,),
        "decoder.proj_in.1.weight": (10, 10, 2),
        "encoder.layers.0.mlp.up_proj.weight": (100, 1000),
    }
    write_tensors(folder / "model.safetensors", shapes)
    write_config(folder, **DIT)
    for beside in ("vae", "Qwen3-Embedding-0.6B"):
        (tmp_path / beside).mkdir()
    whole = 2 * (200_000 + 100 + 200)
    assert decoder(tmp_path)[0] == ("weights", whole)
    assert decoder(tmp_path, dit={"quantization": "int8"})[0] == ("weights", whole - 96_093)
    wide = {"dtype": "fp32", "quantization": "int8"}
    assert decoder(tmp_path, dit=wide)[0] == ("weights", 2 * whole - 296_093)


def test_with_offload_only_the_largest_module_and_its_work_count(tmp_path: Path) -> None:
    folder = tmp_path / "acestep-v15-turbo"
    big = 400_000_000
    shapes = {
        "decoder.layers.0.mlp.up_proj.weight": (20_000, 20_000),
        "encoder.layers.0.mlp.up_proj.weight": (100, 1000),
        "tokenizer.quantizer.weight": (7,),
        "null_condition_emb": (1, 1, 100),
    }
    write_tensors(folder / "model.safetensors", shapes)
    write_config(folder, **DIT)
    write_tensors(tmp_path / "vae" / "model.safetensors", {"a": (300,)})
    write_tensors(tmp_path / "Qwen3-Embedding-0.6B" / "model.safetensors", {"a": (500,)})
    vae, work, tokenizer, _ = decoder(tmp_path, dit={"offload": True, "quantization": "int8"})
    assert (vae, tokenizer) == (("the vae", 600), ("the audio tokenizer", 14))
    assert work == ("its work", 1_400_000_000)
    largest, take, *_ = decoder(tmp_path, dit={"offload": True, "dtype": "fp32"})
    assert (largest, take[0]) == (("the vae", 1200), "its work")
    longer = {"duration": 600}
    largest, take, *_ = decoder(tmp_path, dit={"offload": True}, limits=longer)
    assert (largest, take[0]) == (("the transformer", 2 * big), "one take of 600 s")


def test_diffusers_layout_counts_its_folders(tmp_path: Path) -> None:
    model = tmp_path / "acestep"
    model.mkdir()
    (model / "model_index.json").write_text("{}")
    write_safetensors(model / "transformer" / "model.safetensors", (700,))
    write_config(model / "transformer", **DIT)
    write_safetensors(model / "vae" / "model.safetensors", (300,))
    assert decoder(tmp_path)[0] == ("weights", 2000)


def test_of_a_language_model(tmp_path: Path) -> None:
    folder = tmp_path / "acestep-5Hz-lm-0.6B"
    write_safetensors(folder / "model.safetensors", (5000,))
    write_config(folder, num_key_value_heads=8, head_dim=128, num_hidden_layers=28)
    args = {"planner": "pt", "checkpoints": tmp_path, "lm": {"context": 2048}}
    weights, context, *_ = needs_of_planner(Settings.model_validate(args))
    assert (weights.what, weights.size) == ("weights", 10_000)
    # Two rows, keys and values, 2 bytes per number.
    assert context.what == "a context of 2048 tokens"
    assert context.size == 2048 * 28 * 8 * 128 * 2 * 2 * 2


def test_mocks_need_nothing() -> None:
    assert needs_of_decoder(Settings()) == needs_of_planner(Settings()) == []
