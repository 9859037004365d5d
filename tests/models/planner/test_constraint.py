"""The metadata are legal and come to an end, whoever chooses the tokens."""

import random
import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from acestep_ray.planner.constraint import MetadataConstraint, TextVocabulary
from acestep_ray.planner.context import ANSWER_TOKENS
from acestep_ray.planner.grammar import Given, body_regex
from acestep_ray.planner.metadata import KEYSCALES, LANGUAGES
from acestep_ray.planner.song_outline import read_metadata
from acestep_ray.planner.tokens import END_OF_TEXT
from acestep_ray.planner.transformers.language_model import LanguageModel

Choice = Callable[[NDArray[np.int64], bytes], int]


@pytest.fixture(scope="module")
def vocabulary(lm: LanguageModel) -> TextVocabulary:
    return lm.vocabulary


def write(constraint: MetadataConstraint, choose: Choice) -> list[int]:
    ids = constraint.forced()
    while not constraint.done:
        token = choose(constraint.legal(), constraint.text.encode())
        constraint.take(token)
        ids += [token, *constraint.forced()]
    return ids


class Chooser:
    """Ways to choose that make it hard to end."""

    def __init__(self, vocabulary: TextVocabulary, seed: int = 0) -> None:
        self.texts = [vocabulary.tokens.decode_bytes([token]) for token in range(151_669)]
        self.lengths = np.array([len(text) for text in self.texts])
        self.folds = np.array([b"\n  " in text for text in self.texts])
        self.rng = random.Random(seed)

    def any(self, legal: NDArray[np.int64], _written: bytes) -> int:
        return int(self.rng.choice(legal))

    def short(self, legal: NDArray[np.int64], _written: bytes) -> int:
        """One byte at a time, of a character or of a word."""
        lengths = self.lengths[legal]
        return int(self.rng.choice(legal[lengths == lengths.min()]))

    def folding(self, legal: NDArray[np.int64], written: bytes) -> int:
        """A new line wherever one may be, and the indent that keeps the caption open."""
        for wanted in (b"\n  ", b"\n ", b"\n", b"  ", b" "):
            found = [token for token in legal[:4000] if self.texts[token] == wanted]
            if found and not (wanted == b"\n" and written.endswith(b"\n")):
                return int(found[0])
        return self.short(legal, written)

    def unfinished(self, legal: NDArray[np.int64], written: bytes) -> int:
        """A token that ends inside a character, if there is one."""
        cut = [token for token in legal if self.texts[token][-1:] >= b"\xc2"]
        return int(self.rng.choice(cut)) if cut else self.short(legal, written)


@pytest.fixture(scope="module")
def chooser(vocabulary: TextVocabulary) -> Chooser:
    return Chooser(vocabulary)


def legal_text(constraint: MetadataConstraint, given: Given, most: int = 600) -> None:
    assert re.fullmatch(body_regex(given, most, True), constraint.text)
    read = read_metadata(constraint.text, given)
    assert 10 <= read.duration <= most


@pytest.mark.parametrize("way", ["any", "short", "folding", "unfinished"])
@pytest.mark.parametrize("caption_tokens", [8, 512])
def test_it_ends_however_tokens_are_chosen(
    way: str, caption_tokens: int, vocabulary: TextVocabulary, chooser: Chooser
) -> None:
    for _ in range(2):
        constraint = MetadataConstraint(vocabulary, Given(), 600, caption_tokens=caption_tokens)
        ids = write(constraint, getattr(chooser, way))
        legal_text(constraint, Given())
        assert len(ids) <= ANSWER_TOKENS
        assert max(ids) < END_OF_TEXT  # no code, and none of the chat's own tokens
        assert vocabulary.tokens.decode_bytes(ids).decode() == constraint.text
        if caption_tokens == 8:
            caption = constraint.text.partition("caption: ")[2].partition("\nduration: ")[0]
            assert len(vocabulary.tokens.tokenize_str(caption)) <= 8 + 6


def test_given_fields_are_written_as_given(vocabulary: TextVocabulary, chooser: Chooser) -> None:
    rng = random.Random(1)
    for _ in range(30):
        given = Given(
            bpm=rng.choice([None, 30, 99, 300]),
            duration=rng.choice([None, 10, 77, 600]),
            keyscale=rng.choice(["", *KEYSCALES]),
            language=rng.choice(["", *LANGUAGES]),
            timesignature=rng.choice(["", "2", "3", "4", "6"]),
        )
        constraint = MetadataConstraint(vocabulary, given, 600, caption_tokens=8)
        write(constraint, chooser.any)
        legal_text(constraint, given)
        alone = read_metadata(constraint.text, Given())
        for name in ("bpm", "duration", "keyscale", "language", "timesignature"):
            assert getattr(given, name) in (None, "", getattr(alone, name))


def test_the_longest_duration_is_a_bound(vocabulary: TextVocabulary, chooser: Chooser) -> None:
    for _ in range(15):
        constraint = MetadataConstraint(vocabulary, Given(), 37, caption_tokens=8)
        write(constraint, chooser.any)
        legal_text(constraint, Given(), 37)


def test_a_literal_is_cut_as_the_tokenizer_cuts_it(lm: LanguageModel) -> None:
    """The model never saw a given value in such pieces, so they would mean nothing to it."""
    given = Given(bpm=120, duration=95, keyscale="F# minor", language="no", timesignature="4")
    constraint = MetadataConstraint(lm.vocabulary, given, 600)
    words = (" Slow", " rock", "\n", "duration")
    chosen = [lm.tokenizer.encode(word)[0] for word in words]

    def choose(legal: NDArray[np.int64], _written: bytes) -> int:
        token = chosen.pop(0)
        assert token in legal
        return token

    ids = write(constraint, choose)
    text = (
        "bpm: 120\ncaption: Slow rock\nduration: 95\nkeyscale: F# minor\nlanguage: 'no'\n"
        "timesignature: 4\n"
    )
    assert constraint.text == text
    assert ids == lm.tokenizer.encode(text)


def test_what_is_not_legal_is_refused(vocabulary: TextVocabulary) -> None:
    constraint = MetadataConstraint(vocabulary, Given(), 600)
    constraint.forced()
    with pytest.raises(ValueError, match="token 151645 is not legal"):
        constraint.take(151_645)
