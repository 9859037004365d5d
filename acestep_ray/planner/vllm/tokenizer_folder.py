"""The tokenizer that vLLM uses: the LM's, without audio codes.

vLLM needs it only for the grammar of metadata, where no code is legal; vLLM receives prompts and
returns codes as token ids. With the 65,535 codes, the grammar engine needs 25 s to read the
vocabulary; without them 2 s.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import transformers

from acestep_ray.planner.tokens import LmTokenizer

_CONFIGS = {
    # Without the version, transformers warns about tokenizers of another model.
    "config.json": {"model_type": "qwen3", "transformers_version": transformers.__version__},
    "tokenizer_config.json": {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",  # ends the metadata
        "pad_token": "<|endoftext|>",
    },
}


@contextmanager
def text_tokenizer(tokenizer: LmTokenizer) -> Iterator[Path]:
    """A folder with the tokenizer, which exists while vLLM starts."""
    with TemporaryDirectory(prefix="acestep-tokenizer-") as folder:
        path = Path(folder)
        (path / "tokenizer.json").write_text(tokenizer.text_json(), "utf-8")
        for name, values in _CONFIGS.items():
            (path / name).write_text(json.dumps(values), "utf-8")
        yield path
