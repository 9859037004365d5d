"""What is written follows the grammar and can be read back; input is never trusted."""

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from acestep_ray.planner.grammar import (
    CAPTION_CHARS,
    Given,
    cot_text,
    cot_yaml,
    metadata_regex,
    number_regex,
    parse,
)
from acestep_ray.planner.metadata import KEYSCALES, LANGUAGES, TIME_SIGNATURES
from acestep_ray.planner.protocol import PlanRequest

FREE = metadata_regex(Given(), 600, with_caption=True)
NO_CAPTION = metadata_regex(Given(), 600, with_caption=False)
SONG = Given(120, "A slow ballad", 95, "F# minor", "en", "4")
SONG_TEXT = """<think>
bpm: 120
caption: A slow ballad
duration: 95
keyscale: F# minor
language: en
timesignature: 4
</think>"""

CAPTIONS = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
    .map(lambda text: " ".join(text.splitlines()).strip(" \t"))
    .filter(bool)
)
# What an LM under the grammar can write: no backtick, no tag.
LM_CAPTIONS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0`<"), min_size=1, max_size=120
).map(lambda text: " ".join(" ".join(text.splitlines()).split()))


def fields(captions: st.SearchStrategy[str | None]) -> st.SearchStrategy[Given]:
    return st.builds(
        Given,
        bpm=st.integers(30, 300),
        caption=captions,
        duration=st.integers(10, 600),
        keyscale=st.sampled_from(KEYSCALES),
        language=st.sampled_from(LANGUAGES),
        timesignature=st.sampled_from(TIME_SIGNATURES),
    )


def as_parsed(song: Given) -> dict[str, int | str]:
    names = ("bpm", "caption", "duration", "keyscale", "language", "timesignature")
    return {name: getattr(song, name) for name in names if getattr(song, name)}


def test_the_cot_is_written_as_in_training() -> None:
    caption = (
        "A slow, dreamy piano ballad: soft female vocals and warm strings build toward an "
        "emotional, cinematic chorus with wide reverb."
    )
    assert cot_yaml(Given(120, caption, 95, "F# minor", "no", "4")) == (
        "bpm: 120\n"
        "caption: 'A slow, dreamy piano ballad: soft female vocals and warm strings build toward\n"
        "  an emotional, cinematic chorus with wide reverb.'\n"
        "duration: 95\n"
        "keyscale: F# minor\n"
        "language: 'no'\n"
        "timesignature: 4"
    )
    assert cot_text(SONG) == SONG_TEXT


def test_what_is_not_given_is_not_written() -> None:
    assert cot_yaml(Given(bpm=90, caption=" \n", timesignature="3")) == "bpm: 90\ntimesignature: 3"
    assert cot_yaml(Given()) == ""
    assert cot_text(Given()) == "<think>\n\n</think>"


@given(fields(st.none() | CAPTIONS.filter(lambda text: "<" not in text)))
@settings(deadline=None)
def test_what_is_written_reads_back(song: Given) -> None:
    assert parse(cot_text(song)) == as_parsed(song)
    # As YAML reads it, too: the model was trained on YAML.
    assert {key: str(value) for key, value in yaml.safe_load(cot_yaml(song)).items()} == {
        key: str(value) for key, value in as_parsed(song).items()
    }


@given(fields(LM_CAPTIONS.filter(bool)))
@settings(deadline=None)
def test_what_is_written_follows_the_grammar(song: Given) -> None:
    assert re.fullmatch(FREE, cot_text(song))
    assert re.fullmatch(metadata_regex(song, 600, with_caption=True), cot_text(song))


@given(st.from_regex(FREE, fullmatch=True))
@settings(max_examples=settings().max_examples // 2)
def test_whatever_the_grammar_allows_reads_as_legal_metadata(text: str) -> None:
    read = parse(text)
    song = Given(**read)  # type: ignore[arg-type]  # refuses what is illegal
    assert read.keys() == as_parsed(SONG).keys()
    assert isinstance(song.bpm, int) and isinstance(song.duration, int)
    # Written for the second phase and read again, it is unchanged.
    assert cot_text(Given(**parse(cot_text(song)))) == cot_text(song)  # type: ignore[arg-type]


@given(fields(LM_CAPTIONS.filter(bool)), fields(st.none()))
@settings(deadline=None)
def test_a_given_field_is_the_only_thing_its_grammar_allows(song: Given, other: Given) -> None:
    for name in ("bpm", "duration", "keyscale", "language", "timesignature"):
        forced = Given(**{name: getattr(song, name)})
        regex = metadata_regex(forced, 600, with_caption=True)
        assert re.fullmatch(regex, cot_text(song))
        changed = Given(**{**vars(song), name: getattr(other, name)})
        same = getattr(other, name) == getattr(song, name)
        assert bool(re.fullmatch(regex, cot_text(changed))) == same


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bpm: 120", "bpm: 29"),
        ("bpm: 120", "bpm: 301"),
        ("bpm: 120", "bpm: 0120"),
        ("bpm: 120", "bpm:120"),
        ("duration: 95", "duration: 9"),
        ("duration: 95", "duration: 601"),
        ("duration: 95", "duration: 95.5"),
        ("F# minor", "H minor"),
        ("F# minor", "F## minor"),
        ("F# minor", "F# Minor"),
        ("language: en", "language: english"),
        ("timesignature: 4", "timesignature: 5"),
        ("timesignature: 4", "timesignature: 4/4"),
        ("A slow ballad", ""),
        ("A slow ballad", " "),
        ("A slow ballad", "a `b`"),
        ("A slow ballad", "a <|audio_code_5|>"),
        ("A slow ballad", "a </think>"),
        ("A slow ballad", "a\nb"),
        ("A slow ballad", "a\n  \n  b"),
        ("A slow ballad", "a\tb"),
        ("A slow ballad", "a" * (CAPTION_CHARS + 1)),
        ("caption: A slow ballad\n", ""),
        ("duration: 95\n", ""),
        ("\n</think>", "</think>"),
        ("<think>\n", ""),
    ],
)
def test_what_the_model_must_not_write(old: str, new: str) -> None:
    assert re.fullmatch(FREE, SONG_TEXT)
    assert old in SONG_TEXT
    assert not re.fullmatch(FREE, SONG_TEXT.replace(old, new))


def test_the_longest_caption_and_no_caption() -> None:
    assert re.fullmatch(FREE, SONG_TEXT.replace("A slow ballad", "a" * CAPTION_CHARS))
    assert re.fullmatch(NO_CAPTION, SONG_TEXT.replace("caption: A slow ballad\n", ""))
    assert not re.fullmatch(NO_CAPTION, SONG_TEXT)


def test_the_setting_bounds_the_duration() -> None:
    regex = metadata_regex(Given(), 240, with_caption=True)
    assert re.fullmatch(regex, SONG_TEXT.replace("95", "240"))
    assert not re.fullmatch(regex, SONG_TEXT.replace("95", "241"))


@pytest.mark.parametrize(
    ("low", "high"), [(30, 300), (10, 600), (10, 240), (10, 10), (10, 125), (0, 7), (215, 1468)]
)
def test_a_range_of_numbers_is_exact(low: int, high: int) -> None:
    regex = re.compile(number_regex(low, high))
    legal = [number for number in range(1600) if regex.fullmatch(str(number))]
    assert legal == list(range(low, high + 1))
    assert not regex.fullmatch(f"0{low or 1}")


def test_an_empty_range_is_an_error() -> None:
    with pytest.raises(ValueError, match="no numbers from 10 to 9"):
        metadata_regex(Given(), 9, with_caption=True)


@pytest.mark.parametrize(
    "illegal",
    [
        {"bpm": 29},
        {"bpm": 0},
        {"duration": 601},
        {"keyscale": "H minor"},
        {"keyscale": "f# minor"},
        {"language": "english"},
        {"timesignature": "4/4"},
        {"caption": "a </think> b"},
        {"caption": "a <|im_end|> b"},
    ],
)
def test_nothing_illegal_can_be_forced(illegal: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=next(iter(illegal))):
        Given(**illegal)  # type: ignore[arg-type]


def request(**values: object) -> PlanRequest:
    return PlanRequest.model_validate(
        {"job_id": "job", "attempt": 1, "caption": "", "lyrics": "", **values}
    )


def test_what_a_request_gives() -> None:
    asked = request(
        bpm=88, key_scale="C# minor", time_signature="3", duration=12.9, vocal_language="ja"
    )
    assert Given.of(asked) == Given(
        bpm=88, duration=12, keyscale="C# minor", language="ja", timesignature="3"
    )


def test_the_default_language_is_left_to_the_lyrics() -> None:
    assert Given.of(request(vocal_language="en")) == Given()
    assert Given.of(request(vocal_language="unknown")) == Given()


@pytest.mark.parametrize("language", ["en", "ja", "unknown"])
def test_who_chooses_the_language_can_be_said(language: str) -> None:
    chosen = request(vocal_language=language, use_cot_language=True)
    assert Given.of(chosen) == Given()
    forced = request(vocal_language=language, use_cot_language=False)
    assert Given.of(forced) == Given(language=language)


@pytest.mark.parametrize(
    "text",
    [
        SONG_TEXT,
        SONG_TEXT + "\n\n<|audio_code_1|><|audio_code_2|><|im_end|>",
        SONG_TEXT.removesuffix("</think>"),  # the end was forced at this place
        SONG_TEXT.removesuffix("</think>") + "<|audio_code_1|>",
        SONG_TEXT.replace("bpm", "BPM").replace("keyscale", "KeyScale"),
        SONG_TEXT.replace("A slow ballad", "A\n  slow\n\tballad  "),
        SONG_TEXT.replace("A slow ballad", "'A slow\n  ballad'"),
        SONG_TEXT.replace("A slow ballad", '"A slow\\\n  \\ ballad"'),
        SONG_TEXT.replace("timesignature: 4", "timesignature: '4'"),
        SONG_TEXT.replace("keyscale", "mood: calm\nkeyscale"),
        SONG_TEXT.replace("keyscale", "some words\nkeyscale"),
    ],
)
def test_every_form_of_answer_reads_the_same(text: str) -> None:
    assert parse(text) == as_parsed(SONG)


@pytest.mark.parametrize(
    ("caption", "read"),
    [
        ("'it''s: so'", "it's: so"),
        ("it's: so", "it's: so"),
        ("'Tis the season", "'Tis the season"),
        ("'a' and 'b'", "'a' and 'b'"),
        ("'a' # 'b'", "'a' # 'b'"),
        (r'"a\qb"', r'"a\qb"'),
        (r'"\U99999999"', r'"\U99999999"'),
        (r'"\uD800"', r'"\uD800"'),
        (r'"a\0b"', r'"a\0b"'),
        (r'"\x3C|audio_code_1|>"', r'"\x3C|audio_code_1|>"'),
        ("12", "12"),
        ("null", "null"),
        ("", ""),
    ],
)
def test_quotes_are_taken_off_only_where_yaml_put_them(caption: str, read: str) -> None:
    assert parse(f"caption: {caption}\n")["caption"] == read


def test_numbers_that_are_none_stay_text() -> None:
    assert parse("bpm: N/A\nduration: １２\ntimesignature: 4") == {
        "bpm": "N/A",
        "duration": "１２",
        "timesignature": "4",
    }
    assert parse("bpm: " + "9" * 5000)["bpm"] == "9" * 5000


@given(st.text() | st.text("bpmcaption:'\"\\ \n<>|think/"))
@settings(deadline=None)
def test_reading_never_fails(text: str) -> None:
    assert isinstance(parse(f"<think>\ncaption: {text}"), dict)
    assert isinstance(parse(text), dict)
