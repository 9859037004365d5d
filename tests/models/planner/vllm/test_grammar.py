"""The metadata's grammar, as vLLM's guidance applies it: legal, and finite, whoever chooses."""

import numpy as np
import pytest
from llguidance import LLMatcher, grammar_from

from acestep_ray.planner.constraint import TextVocabulary
from acestep_ray.planner.context import ANSWER_TOKENS
from acestep_ray.planner.grammar import Given, body_grammar
from acestep_ray.planner.song_outline import read_metadata
from acestep_ray.planner.tokens import FIRST_CODE
from acestep_ray.planner.transformers.language_model import LanguageModel
from tests.models.planner.test_constraint import Chooser


@pytest.fixture(scope="module")
def vocabulary(lm: LanguageModel) -> TextVocabulary:
    return lm.vocabulary


@pytest.fixture(scope="module")
def chooser(vocabulary: TextVocabulary) -> Chooser:
    return Chooser(vocabulary)


def write(vocabulary: TextVocabulary, grammar: str, way: str, chooser: Chooser) -> list[int]:
    matcher = LLMatcher(vocabulary.tokens, grammar_from("grammar", grammar))
    ids: list[int] = []
    while not matcher.is_stopped():
        mask = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        assert not matcher.get_error()
        legal = np.flatnonzero(np.unpackbits(mask, bitorder="little", count=FIRST_CODE))
        token = getattr(chooser, way)(legal, vocabulary.tokens.decode_bytes(ids))
        assert matcher.consume_token(token)
        ids.append(token)
    return ids


@pytest.mark.parametrize("way", ["any", "short", "folding", "unfinished"])
@pytest.mark.parametrize(("caption_tokens", "times"), [(8, 5), (512, 1)])
def test_it_ends_in_time_and_reads_as_legal_metadata(
    way: str,
    caption_tokens: int,
    times: int,
    lm: LanguageModel,
    vocabulary: TextVocabulary,
    chooser: Chooser,
) -> None:
    for _ in range(times):
        ids = write(vocabulary, body_grammar(Given(), 77, caption_tokens), way, chooser)
        assert len(ids) < ANSWER_TOKENS  # and the end of the turn
        text = lm.tokenizer.decode(ids).replace("\N{REPLACEMENT CHARACTER}", "")
        metadata = read_metadata(text, Given())
        Given.all_of(metadata)
        assert 10 <= metadata.duration <= 77


def test_a_caption_is_left_out_where_none_is_wanted(
    lm: LanguageModel, vocabulary: TextVocabulary, chooser: Chooser
) -> None:
    for way in ("any", "short"):
        grammar = body_grammar(Given(bpm=90), 77, 8, with_caption=False)
        text = lm.tokenizer.decode(write(vocabulary, grammar, way, chooser))
        assert text.startswith("bpm: 90\nduration: ")
        assert read_metadata(text, Given()).caption is None


def test_given_fields_are_literals(
    lm: LanguageModel, vocabulary: TextVocabulary, chooser: Chooser
) -> None:
    given = Given(
        bpm=30,
        caption="a/b: 'x'  \\ [loud]",
        duration=600,
        keyscale="F♯ minor",
        language="no",
        timesignature="6",
    )
    ids = write(vocabulary, body_grammar(given, 600, 8), "any", chooser)
    written = read_metadata(lm.tokenizer.decode(ids), Given())
    assert written.model_dump() == {
        "bpm": 30,
        "caption": "a/b: 'x'  \\ [loud]",
        "duration": 600,
        "keyscale": "F♯ minor",
        "language": "no",
        "timesignature": "6",
    }
