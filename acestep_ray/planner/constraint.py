"""The metadata's grammar, token by token, for engines that choose their own tokens.

Only ``grammar.body_regex`` describes what is legal. llguidance, which vLLM's structured output also
uses, applies it to the vocabulary: every tokenisation of a legal text is legal.
"""

import re

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from acestep_ray.planner.context import CAPTION_TOKENS
from acestep_ray.planner.grammar import Given, body_regex
from acestep_ray.planner.tokens import FIRST_CODE, IM_END, LmTokenizer

_NEXT_FIELD = re.compile(rb"\n[^ ]")
# For text decoded with "surrogateescape": bytes 80 to BF that continue a character of an earlier
# token are U+DC80 to U+DCBF.
_WHOLE = re.compile("[\udc80-\udcbf]+|[^\n\udc80-\udcff]+")
_OPEN_CAPTION = re.compile(rb"(?:^|\n)caption: (?!.*\n[^ ])", re.DOTALL)


class TextVocabulary:
    """The text part of the LM's vocabulary, prepared for grammars (takes 1.5 s; share it)."""

    def __init__(self, tokenizer: LmTokenizer) -> None:
        self.tokens = LLTokenizer(tokenizer.text_json(), n_vocab=FIRST_CODE, eos_token=IM_END)
        by_id = [self.tokens.decode_bytes([number]) for number in range(FIRST_CODE)]
        # A line break ends a caption, unless spaces follow: then the caption continues.
        self.breaks = np.array([text == b"\n" or bool(_NEXT_FIELD.match(text)) for text in by_id])
        # Whole characters, or the rest of an unfinished one, without a line break.
        self.whole = np.array(
            [bool(_WHOLE.fullmatch(text.decode("utf-8", "surrogateescape"))) for text in by_id]
        )
        self.unindented = np.array([not text.startswith(b" ") for text in by_id])


class MetadataConstraint:
    """One text of the LM that follows the grammar: between the tags, from ``bpm:`` to the last
    newline.

    The text ends, whatever the weights are: the regex matches only a finite number of texts, and a
    caption of ``caption_tokens`` is ended as soon as that is legal, at most a few tokens later.
    """

    def __init__(
        self,
        vocabulary: TextVocabulary,
        given: Given,
        max_duration: int,
        *,
        with_caption: bool = True,
        caption_tokens: int = CAPTION_TOKENS,
    ) -> None:
        self._vocabulary = vocabulary
        regex = body_regex(given, max_duration, with_caption)
        self._matcher = LLMatcher(vocabulary.tokens, LLMatcher.grammar_from_regex(regex))
        self._check()
        self._caption_tokens = caption_tokens
        self._in_caption = 0
        self._written = b""

    @property
    def done(self) -> bool:
        """Whether the text is complete; then nothing may follow."""
        return self._matcher.is_stopped()

    @property
    def text(self) -> str:
        """What was written so far."""
        return self._written.decode("utf-8", "replace")

    def forced(self) -> list[int]:
        """Write the tokens that follow without a choice, cut as the tokenizer would cut them, and
        return them."""
        ids = self._matcher.compute_ff_tokens()
        for token in ids:
            self.take(token)
        return ids

    def legal(self) -> NDArray[np.int64]:
        """The tokens that may come next, in ascending order; at least one, unless ``done``."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        legal = np.unpackbits(mask, bitorder="little", count=FIRST_CODE).astype(np.bool_)
        if self._in_caption >= self._caption_tokens:
            legal &= self._ending(legal)
        return np.flatnonzero(legal)

    def _ending(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The tokens that lead from here to the end of the caption."""
        if self._written.endswith(b"\n"):
            return self._vocabulary.unindented
        # Inside a character, and directly after a fold, no line break is legal yet.
        breaks = self._vocabulary.breaks
        return breaks if (legal & breaks).any() else self._vocabulary.whole

    def take(self, token: int) -> None:
        """Write a token. Raises ValueError for one that is not legal."""
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} is not legal here")
        self._written += self._vocabulary.tokens.decode_bytes([token])
        self._in_caption = self._in_caption + 1 if _OPEN_CAPTION.search(self._written) else 0

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RuntimeError(f"The metadata grammar failed: {self._matcher.get_error()}")


class GrammarConstraint:
    """One text of the LM that follows a grammar in llguidance's Lark, one token at a time: exactly
    what vLLM does with the same grammar."""

    def __init__(self, vocabulary: TextVocabulary, grammar: str) -> None:
        self._matcher = LLMatcher(vocabulary.tokens, LLMatcher.grammar_from_lark(grammar))
        self._check()

    @property
    def done(self) -> bool:
        """Whether the text is complete; then nothing may follow."""
        return self._matcher.is_stopped()

    def legal(self) -> NDArray[np.int64]:
        """The tokens that may come next, in ascending order; at least one, unless ``done``."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return np.flatnonzero(np.unpackbits(mask, bitorder="little", count=FIRST_CODE))

    def take(self, token: int) -> None:
        """Write a token. Raises ValueError for one that is not legal."""
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} is not legal here")

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RuntimeError(f"The metadata grammar failed: {self._matcher.get_error()}")
