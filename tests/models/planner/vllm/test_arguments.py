"""vLLM's start arguments follow from the settings; what cannot work is refused with numbers."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import Qwen3Config
from vllm.engine.arg_utils import AsyncEngineArgs

from acestep_ray.errors import CheckpointError, SettingError
from acestep_ray.planner.checkpoint import LmCheckpoint, open_checkpoint
from acestep_ray.planner.vllm.arguments import (
    check_room,
    check_share,
    engine_arguments,
    kv_bytes_on_cpu,
)
from acestep_ray.planner.vllm.engine import VllmPlanner
from acestep_ray.planner.vllm.environment import vllm_environment
from acestep_ray.settings import Lm, Settings

GB = 10**9
TOKEN = 2 * 2 * 32 * 4  # keys and values, layers, one head of 32, float32


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> LmCheckpoint:
    return open_checkpoint(folder)


def test_they_follow_from_the_settings(checkpoint: LmCheckpoint, tmp_path: Path) -> None:
    settings = Lm(max_concurrent_plans=5, context=2048)
    arguments = engine_arguments(checkpoint, tmp_path, settings, 1.0)
    AsyncEngineArgs(**arguments)  # vLLM knows them all
    assert arguments["max_model_len"] == 2048
    assert arguments["max_num_seqs"] == 10
    assert arguments["max_num_batched_tokens"] == 2 * 2048 + 10
    assert arguments["dtype"] == "float32"
    assert arguments["enforce_eager"]
    assert arguments["kv_cache_memory_bytes"] == 5 * 2 * (2048 + 128) * TOKEN


def test_a_context_that_the_model_was_not_made_for_is_refused(
    checkpoint: LmCheckpoint, tmp_path: Path
) -> None:
    config = Qwen3Config.from_dict(checkpoint.config.to_dict() | {"max_position_embeddings": 2048})
    short = replace(checkpoint, config=config)
    with pytest.raises(SettingError, match=r"ACESTEP_LM__CONTEXT=8192 .* the 2048 tokens .*lower"):
        engine_arguments(short, tmp_path, Lm(), 1.0)


def test_another_device_is_refused(checkpoint: LmCheckpoint, tmp_path: Path) -> None:
    engine_arguments(checkpoint, tmp_path, Lm(device="cpu"), 1.0)
    with pytest.raises(ValueError, match=r"ACESTEP_LM__DEVICE=cuda:1 cannot be had: .* on cpu"):
        engine_arguments(checkpoint, tmp_path, Lm(device="cuda:1"), 1.0)


def test_memory_on_a_cpu(checkpoint: LmCheckpoint) -> None:
    pair = 2 * (8192 + 128) * TOKEN
    assert kv_bytes_on_cpu(checkpoint, 8192, 16, free=64 * GB) == 16 * pair
    assert kv_bytes_on_cpu(checkpoint, 8192, 16, free=6 * pair) == 3 * pair // 2
    with pytest.raises(ValueError, match=r"CONTEXT=8192 tokens takes 0\.0 GB .* is 0\.0 GB: lower"):
        kv_bytes_on_cpu(checkpoint, 8192, 16, free=3 * pair)


def test_a_share_of_a_gpu(checkpoint: LmCheckpoint) -> None:
    check_share(checkpoint, 8192, 0.4, 24 * GB)
    for share in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"num_gpus {share:g}; .* above 0 and at most 1"):
            check_share(checkpoint, 8192, share, 24 * GB)
    with pytest.raises(ValueError, match=r"share of 0\.1 of a GPU of 0\.1 GB leaves 0\.0 GB, but"):
        check_share(checkpoint, 8192, 0.1, GB // 10)
    with pytest.raises(ValueError, match=r"not served yet \(the smallest preset, .*PRESET=4gb,"):
        check_share(checkpoint, 8192, 0.1, GB // 10)
    with pytest.raises(ValueError, match=r": lower the context, give it a larger share or .*4gb"):
        check_share(checkpoint, 8192, 0.0001, 24 * GB)


def test_room_for_the_longest_guided_plan() -> None:
    check_room(blocks=1025, block_size=16, context=8192)
    with pytest.raises(ValueError, match=r"room for 1024 blocks of 16 tokens, .* needs 1025"):
        check_room(blocks=1024, block_size=16, context=8192)


def test_a_broken_checkpoint_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "acestep-5Hz-lm-broken").mkdir()
    settings = Settings(planner="vllm", checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match=r"acestep-5Hz-lm-broken has no config\.json\."):
        VllmPlanner.load(settings)
    with pytest.raises(CheckpointError, match="has no acestep-5Hz-lm-4B"):
        VllmPlanner.load(settings, model="acestep-5Hz-lm-4B")


def test_the_environment_is_ours_while_vllm_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    before = dict(os.environ)
    with vllm_environment():
        assert "VLLM_CPU_KVCACHE_SPACE" not in os.environ
        assert os.environ["OMP_NUM_THREADS"] == "1"  # of this test session's torch
        assert os.environ["VLLM_NO_USAGE_STATS"] == "1"
        os.environ["LD_PRELOAD"] = "what vLLM writes"
    assert dict(os.environ) == before
