"""The 5Hz LM's tokens: their ids, and text to ids and back.

The vocabulary is Qwen3's, followed by ``<|audio_code_N|>`` at 151669 + N. Ids are computed, because
looking up 217,204 ids by their text takes long.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from acestep_ray.planner.codes import MAX_CODE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = 151_643
IM_START = 151_644
IM_END = 151_645
THINK = 151_667
END_THINK = 151_668
FIRST_CODE = 151_669
"""Id of ``<|audio_code_0|>``; all text tokens have lower ids."""
CODES = MAX_CODE + 1
"""64,000 codes are legal. 65,535 have a token; the higher ones must never be written."""
VOCABULARY = 217_204
STOP_IDS = (IM_END, END_OF_TEXT)

_LANDMARKS = {
    "<|endoftext|>": END_OF_TEXT,
    "<|im_start|>": IM_START,
    "<|im_end|>": IM_END,
    "<think>": THINK,
    "</think>": END_THINK,
    "<|audio_code_0|>": FIRST_CODE,
    f"<|audio_code_{MAX_CODE}|>": FIRST_CODE + MAX_CODE,
}


def code_ids(codes: Sequence[int]) -> list[int]:
    """The tokens of audio codes. Raises ValueError for a code that is not legal."""
    for code in codes:
        if not 0 <= code <= MAX_CODE:
            raise ValueError(f"{code} is not an audio code; they go from 0 to {MAX_CODE}")
    return [FIRST_CODE + code for code in codes]


class LmTokenizer:
    """Text to token ids and back."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a checkpoint's ``tokenizer.json``. Raises ValueError, with one sentence, if the file
        is missing, cannot be read, or is not that of a 5Hz LM."""
        from tokenizers import Tokenizer  # noqa: PLC0415  (not in the base install)

        file = folder / "tokenizer.json"
        if not file.is_file():
            raise ValueError(f"{folder} has no tokenizer.json.")
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"{file} cannot be read: {error}.") from None
        for text, number in _LANDMARKS.items():
            if tokenizer.token_to_id(text) != number:
                raise ValueError(
                    f"{file} is not a 5Hz LM's: its id of {text} is "
                    f"{tokenizer.token_to_id(text)}, not {number}."
                )
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids; the model's own tokens are recognised, and lone surrogates are read as "?"."""
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return self._tokenizer.encode(clean, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text, with the model's own tokens as text; bytes that are not UTF-8 become U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def text_json(self) -> str:
        """The tokenizer without audio codes, as JSON: for grammars, which need only text.

        With the codes, a grammar engine needs 40 s to read the vocabulary; without them 1.5 s.
        """
        whole = json.loads(self._tokenizer.to_str())
        whole["added_tokens"] = [
            token for token in whole["added_tokens"] if token["id"] < FIRST_CODE
        ]
        return json.dumps(whole)
