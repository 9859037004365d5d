"""vLLM's own view of the tiny language model."""

from pathlib import Path

import pytest
from vllm.config import VllmConfig
from vllm.engine.arg_utils import EngineArgs


@pytest.fixture(scope="session")
def vllm_config(folder: Path) -> VllmConfig:
    """Of an engine that is not started."""
    return EngineArgs(
        model=str(folder), max_model_len=1024, enforce_eager=True, skip_tokenizer_init=True
    ).create_engine_config()
