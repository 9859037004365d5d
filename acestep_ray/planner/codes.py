"""Audio codes as text, as clients send and receive them: ``<|audio_code_N|>``, tokens of the LM."""

import re
from collections.abc import Iterable, Sequence

MAX_CODE = 63_999
"""65,535 tokens exist, but the decoder's codebook ends here."""

BETWEEN_TAKES = ";"
"""Stands between the sequences of several takes in one text."""

_TOKEN = re.compile(r"<\|audio_code_([0-9]+)\|>")
_SEPARATORS = re.compile(r"[\s,]+")
_LEGAL = f"codes are whole numbers from 0 to {MAX_CODE}"


def parse_code_string(text: str) -> tuple[int, ...]:
    """The codes in ``text``: tokens or plain whole numbers, separated by spaces or commas.

    Raises ValueError if ``text`` holds no code, a code above MAX_CODE, or anything else: a client's
    typing error must not become music. The message is one sentence that names what is wrong.
    """
    numbers = _TOKEN.findall(text)
    rest = _pieces(_TOKEN.sub(" ", text))
    if not numbers:
        numbers, rest = rest, []
    if rest:
        raise ValueError(f"{_shown(rest[0])} stands between the audio codes; {_LEGAL}")
    if not numbers:
        raise ValueError(f"no audio codes found; write <|audio_code_N|> or plain numbers, {_LEGAL}")
    return tuple(_code(number) for number in numbers)


def format_code_string(codes: Iterable[int]) -> str:
    """The codes as tokens of the LM, joined. Raises ValueError for a code that is not legal."""
    return "".join(f"<|audio_code_{_code(str(code))}|>" for code in codes)


def join_takes(sequences: Sequence[str]) -> str:
    """The code strings of all takes as one text, which a request can send back: one string if they
    are the same."""
    return sequences[0] if len(set(sequences)) == 1 else BETWEEN_TAKES.join(sequences)


def _pieces(text: str) -> list[str]:
    return [piece for piece in _SEPARATORS.split(text) if piece]


def _code(number: str) -> int:
    # The length is checked first: int() of many thousand digits is slow, and Python refuses it.
    digits = number.lstrip("0") or "0"
    if number.isascii() and number.isdecimal() and len(digits) <= 5 and int(digits) <= MAX_CODE:
        return int(digits)
    raise ValueError(f"{_shown(number)} is not an audio code; {_LEGAL}")


def _shown(piece: str) -> str:
    return repr(piece if len(piece) <= 40 else f"{piece[:40]}…")
