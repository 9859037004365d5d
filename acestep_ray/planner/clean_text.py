"""Texts of the LM as plain text: nothing in them that a model, a file or a page could misread."""

import re

from acestep_ray.planner.prompts import plain

_LINE_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control characters, lone surrogates, code points that are no characters, and what decoders write
# for bytes that are not UTF-8.
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffd-\uffff]")
_HEADING = re.compile(r"\s*#\s*Lyrics?\s*\n", re.IGNORECASE)
_GAP = re.compile(r"\n{3,}")


def clean_caption(text: str) -> str:
    """The text in one line, without control characters and without the model's own tokens."""
    return " ".join(_clean(text).split())


def clean_lyrics(text: str) -> str:
    """The lines without a heading ``# Lyric``, at most one blank line between two; as above."""
    lines = _clean(_HEADING.sub("", text, count=1)).split("\n")
    return _GAP.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()


def _clean(text: str) -> str:
    return plain(_DROPPED.sub("", _LINE_BREAK.sub("\n", text)).replace("\t", " "))
