"""The tokenizer that vLLM sees: the LM's, without audio codes.

vLLM needs one for the grammar of metadata alone, where no code is legal; prompts come to it as
token ids, and codes leave it so. With its 65,535 codes the grammar engine takes 25 s to take the
vocabulary in, without them 2 s.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import transformers

from acestep_ray.planner.tokens import LmTokenizer

_CONFIGS = {
    # Without the version transformers warns of another model's tokenizers.
    "config.json": {"model_type": "qwen3", "transformers_version": transformers.__version__},
    "tokenizer_config.json": {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",  # ends the metadata
        "pad_token": "<|endoftext|>",
    },
}


@contextmanager
def text_tokenizer(tokenizer: LmTokenizer) -> Iterator[Path]:
    """A folder that holds it, for as long as vLLM starts."""
    with TemporaryDirectory(prefix="acestep-tokenizer-") as folder:
        path = Path(folder)
        (path / "tokenizer.json").write_text(tokenizer.text_json(), "utf-8")
        for name, values in _CONFIGS.items():
            (path / name).write_text(json.dumps(values), "utf-8")
        yield path
