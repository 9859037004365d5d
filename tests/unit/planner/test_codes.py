"""Codes are read back from text unchanged, and nothing else is read as codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.planner.codes import MAX_CODE, format_code_string, parse_code_string

CODES = st.lists(st.integers(0, MAX_CODE), min_size=1)


@given(CODES)
def test_written_codes_read_back(codes: list[int]) -> None:
    assert parse_code_string(format_code_string(codes)) == tuple(codes)


@given(CODES, st.sampled_from([",", " ", ", ", "\n", " ,\t"]))
def test_plain_numbers_read_back(codes: list[int], separator: str) -> None:
    assert parse_code_string(separator.join(map(str, codes))) == tuple(codes)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("<|audio_code_0|><|audio_code_63999|>", (0, MAX_CODE)),
        (" <|audio_code_1|>,\n<|audio_code_2|> ", (1, 2)),
        ("<|audio_code_007|>", (7,)),
        ("1, 2 3,\n4,", (1, 2, 3, 4)),
        ("0", (0,)),
    ],
)
def test_what_clients_send(text: str, codes: tuple[int, ...]) -> None:
    assert parse_code_string(text) == codes


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<|audio_code_64000|>", "'64000' is not an audio code"),
        ("1 2 64000", "'64000' is not an audio code"),
        ("1, -2", "'-2' is not an audio code"),
        ("1.5", "'1.5' is not an audio code"),
        ("[1, 2]", "'[1' is not an audio code"),
        ("１２", "is not an audio code"),
        ("<|audio_code_" + "9" * 5000 + "|>", "is not an audio code"),
        ("9" * 5000, "is not an audio code"),
        ("hello", "'hello' is not an audio code"),
        ("<|audio_code_x|>", "is not an audio code"),
        ("<|audio_code_-1|>", "is not an audio code"),
        ("<|audio_code_1|> la <|audio_code_2|>", "'la' stands between"),
        ("<|audio_code_1|><|im_end|>", "'<|im_end|>' stands between"),
        ("", "no audio codes found"),
        (" ,\n", "no audio codes found"),
    ],
)
def test_what_is_not_codes_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_code_string(text)
    message = str(caught.value)
    assert named in message
    assert "0 to 63999" in message
    assert len(message) < 200, "a client should be able to read it"


@pytest.mark.parametrize("code", [-1, MAX_CODE + 1])
def test_an_illegal_code_is_not_written(code: int) -> None:
    with pytest.raises(ValueError, match="is not an audio code"):
        format_code_string([1, code])
