r"""The text of the LM's metadata: the grammar that it must follow, and how it is written and read.

The text is YAML between ``<think>`` and ``</think>``, as PyYAML writes it, with the keys in
alphabetical order, as in training::

    <think>
    bpm: 120
    caption: A slow piano ballad
    duration: 95
    keyscale: F# minor
    language: en
    timesignature: 4
    </think>

All engines use the same description: ``metadata_regex`` contains only what has the same meaning in
Python's ``re``, in Rust's regex and in structured-output backends (classes, groups, alternatives,
counts).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

import yaml

from acestep_ray.planner.metadata import (
    BPM_RANGE,
    DURATION_RANGE,
    KEYSCALES,
    LANGUAGES,
    TIME_SIGNATURES,
)
from acestep_ray.planner.protocol import Metadata, PlanRequest
from acestep_ray.planner.song_language import lm_chooses_language

THINK, END_THINK = "<think>", "</think>"
CAPTION_CHARS = 512
"""Longest caption that the LM may write, in characters of the text, with quotes and escapes."""

_FIELDS = ("bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature")
_KEY_LINE = re.compile(r"([^\s:][^:]*):(.*)", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_CANONICAL = re.compile(r"0|[1-9][0-9]{0,17}")
# Half a character and NUL are refused from clients, too; tags would end the text early.
_UNSPEAKABLE = re.compile(rf"[\0\ud800-\udfff]|<\||{THINK}|{END_THINK}")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
# PyYAML escapes control characters and line separators, and folds with two spaces.
_NEVER = "\\x00-\\x1f\\x7f-\\x9f\u2028\u2029`<"
_CAPTION = rf"[^ {_NEVER}]([^{_NEVER}]|\n {{2}}[^ {_NEVER}]){{0,{CAPTION_CHARS - 1}}}"


@dataclass(frozen=True)
class Given:
    """The fields that are known before the LM writes; the LM chooses those that are None or empty.

    Raises ValueError for a value that the grammar does not know.
    """

    bpm: int | None = None
    caption: str | None = None
    duration: int | None = None  # whole seconds
    keyscale: str = ""
    language: str = ""
    timesignature: str = ""

    def __post_init__(self) -> None:
        """Check every value: nothing illegal gets into a grammar, even if the API accepted it."""
        for name, number, (low, high) in (
            ("bpm", self.bpm, BPM_RANGE),
            ("duration", self.duration, DURATION_RANGE),
        ):
            if number is not None and not low <= number <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {number}")
        for name, text, legal in (
            ("keyscale", self.keyscale, KEYSCALES),
            ("language", self.language, LANGUAGES),
            ("timesignature", self.timesignature, TIME_SIGNATURES),
        ):
            if text and text not in legal:
                raise ValueError(f"{name} {text[:40]!r} is not one that the model knows")

        if self.caption and _UNSPEAKABLE.search(self.caption):
            raise ValueError("the caption holds one of the model's own tokens")

    @classmethod
    def of(cls, request: PlanRequest) -> Self:
        """The fields that a request gives. Raises ValueError.

        For who chooses the language see song_language.py. A duration is cut to whole seconds,
        because the LM writes only those.
        """
        free = lm_chooses_language(request.use_cot_language, request.vocal_language)
        return cls(
            bpm=request.bpm,
            duration=None if request.duration is None else int(request.duration),
            keyscale=request.key_scale,
            language="" if free else request.vocal_language,
            timesignature=request.time_signature,
        )

    @classmethod
    def all_of(cls, metadata: Metadata) -> Self:
        """All fields of a finished plan, for its CoT."""
        return cls(**metadata.model_dump())


def number_regex(low: int, high: int) -> str:
    """A regex for the whole numbers ``low`` to ``high`` (0 <= low <= high), no leading zeros."""
    if not 0 <= low <= high:
        raise ValueError(f"no numbers from {low} to {high}")
    parts = []
    while low <= high:  # one part per number of digits: 10-99, 100-600
        end = min(high, 10 ** len(str(low)) - 1)
        parts += _same_length(str(low), str(end))
        low = end + 1
    return f"({'|'.join(parts)})"


def _same_length(low: str, high: str) -> list[str]:
    if low == high:
        return [low]
    if low[0] == high[0]:
        return [low[0] + part for part in _same_length(low[1:], high[1:])]
    rest = len(low) - 1
    from_zeros, to_nines = low[1:] == "0" * rest, high[1:] == "9" * rest
    if from_zeros and to_nines:
        return [f"[{low[0]}-{high[0]}]" + "[0-9]" * rest]
    # 215-468 is 215-299 and 300-468; 300-468 is 300-399 and 400-468.
    cut = f"{int(high[0]) - 1 if from_zeros else int(low[0])}{'9' * rest}"
    return _same_length(low, cut) + _same_length(str(int(cut) + 1), high)


def body_regex(given: Given, max_duration: int, with_caption: bool) -> str:
    """The text between ``<think>`` and ``</think>``, from ``bpm:`` to the last newline.

    A given field is a literal. ``max_duration`` is the longest duration that the LM may choose, in
    whole seconds. A caption of the LM contains no backtick and no ``<``, so neither codes nor tags,
    and has at most CAPTION_CHARS characters, so that it ends with any weights. Its lines after the
    first are indented, which distinguishes them from the next field.
    """
    bpm = number_regex(*BPM_RANGE)
    duration = number_regex(DURATION_RANGE[0], min(max_duration, DURATION_RANGE[1]))
    keyscale = f"({'|'.join(KEYSCALES)})"
    language = f"({'|'.join(map(_scalar, LANGUAGES))})"
    timesignature = f"[{''.join(TIME_SIGNATURES)}]"

    def line(name: str, value: str | int | None, free: str) -> str:
        return f"{_literal(_yaml({name: value})) or f'{name}: {free}'}\\n"

    return "".join(
        (
            line("bpm", given.bpm, bpm),
            line("caption", given.caption, _CAPTION) if with_caption else "",
            line("duration", given.duration, duration),
            line("keyscale", given.keyscale, keyscale),
            line("language", given.language, language),
            line("timesignature", given.timesignature, timesignature),
        )
    )


def body_grammar(
    given: Given, max_duration: int, caption_tokens: int, *, with_caption: bool = True
) -> str:
    """``body_regex`` as llguidance's Lark. A caption ends after ``caption_tokens`` tokens, even if
    it has fewer than CAPTION_CHARS characters.

    It may end inside a character or directly after the indent of a line; the callers of
    read_metadata drop this rest. So every text ends within a known number of tokens.
    """
    before, caption, after = body_regex(given, max_duration, with_caption).partition(_CAPTION)
    rules = [f"start: /{_slashed(before)}/"]
    if caption:
        rules = [
            f"start: /{_slashed(before)}/ caption /{_slashed(after)}/",
            f"caption[max_tokens={caption_tokens}]: /{_slashed(caption)}/",
        ]
    return "\n".join(rules)


def metadata_regex(given: Given, max_duration: int, with_caption: bool) -> str:
    """A regex that matches the whole text of the metadata phase, with its tags."""
    return rf"{THINK}\n{body_regex(given, max_duration, with_caption)}{END_THINK}"


def cot_yaml(fields: Given) -> str:
    """The fields as PyYAML writes them, without empty ones; "" if all are empty.

    Line breaks in the caption become spaces: the LM's captions have none of their own.
    """
    return _yaml({name: getattr(fields, name, None) for name in _FIELDS})


def cot_text(fields: Given) -> str:
    """The CoT: ``cot_yaml`` between its tags, as the LM would have written it."""
    return f"{THINK}\n{cot_yaml(fields)}\n{END_THINK}"


def parse(text: str) -> dict[str, int | str]:
    """The metadata in a text of the LM: between the tags or, without tags, before the first code.

    Never fails: missing keys are missing in the result. ``bpm`` and ``duration`` are int if they
    are whole numbers. A value that PyYAML quoted is returned without its quotes.
    """
    tagged = re.search(rf"{THINK}(.*?){END_THINK}", text, re.DOTALL)
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []  # of the field that is being read
    # Not splitlines(): a caption may hold U+2028 and the like.
    for line in (tagged[1] if tagged else text.partition("<|audio_code_")[0]).split("\n"):
        if line.startswith((" ", "\t")):
            lines.append(line)
        elif key := _KEY_LINE.fullmatch(line):
            lines = [key[2]]
            if not line.startswith("<") and key[1].strip().lower() in _FIELDS:
                blocks[key[1].strip().lower()] = lines
    values = {name: _value(block) for name, block in blocks.items()}
    return {
        name: int(value) if name in ("bpm", "duration") and _INTEGER.fullmatch(value) else value
        for name, value in values.items()
    }


def _value(lines: list[str]) -> str:
    """A field's text: its lines stripped and joined by one space, or unquoted by YAML's rules."""
    joined = " ".join(filter(None, (line.strip(" \t\r") for line in lines)))
    if not _QUOTED.fullmatch(joined):
        return joined
    try:
        value = yaml.safe_load("\n".join(lines).strip(" \t\r"))
    except (yaml.YAMLError, ValueError, OverflowError):
        return joined  # the quotes belong to the caption; chr() fails for "\U99999999"
    return joined if not isinstance(value, str) or _UNSPEAKABLE.search(value) else value


def _yaml(items: Mapping[str, str | int | None]) -> str:
    plain = {
        name: _plain(value) if isinstance(value, str) else value for name, value in items.items()
    }
    filled = {name: value for name, value in plain.items() if value not in (None, "")}
    return yaml.safe_dump(filled, allow_unicode=True).removesuffix("\n") if filled else ""


def _plain(text: str) -> str | int:
    """The text without line breaks; a number as int: ``timesignature: 4``, not ``'4'``."""
    text = " ".join(filter(None, (line.strip(" \t") for line in text.splitlines())))
    return int(text) if _CANONICAL.fullmatch(text) else text


@cache
def _scalar(text: str) -> str:
    """The text as PyYAML writes it as a value: ``'no'`` (Norwegian) in quotes, as no is false."""
    return _yaml({"x": text}).removeprefix("x: ")


def _literal(text: str) -> str:
    """Escaped for a regex. re.escape writes ``\\#`` and ``\\ ``, which some dialects refuse."""
    return re.sub(r"([\\.^$*+?{}\[\]()|])", r"\\\1", text).replace("\n", r"\n")


def _slashed(regex: str) -> str:
    """The regex for Lark, which writes regexes between slashes."""
    return regex.replace("/", r"\/")
