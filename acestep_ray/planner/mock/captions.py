"""Captions of the mock: the user's words, with an arrangement added."""

import re
from itertools import accumulate

import numpy as np

from acestep_ray.planner.grammar import CAPTION_CHARS
from acestep_ray.planner.mock.words import pick

_INSTRUMENTS = (
    "warm electric piano and round bass",
    "clean guitars and tight drums",
    "layered synthesisers and a deep sub bass",
    "strings, soft brass and piano",
    "plucked strings and hand percussion",
    "organ, bass guitar and brushed drums",
)
_ROOMS = ("a close, dry mix", "a wide, airy mix", "long reverb tails", "light tape saturation")
# Characters that the grammar of a caption does not allow, or that YAML writes in double quotes.
_NOT_IN_CAPTION = re.compile(
    r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[`<]"
)


def arranged_caption(
    words: str, rng: np.random.Generator, *, sung: bool, bpm: int, keyscale: str, timesignature: str
) -> str:
    """``words``, cut if they are many, and what is played, sung and how it is mixed."""
    voice = "a clear lead voice" if sung else "no vocals"
    added = (
        f"{pick(_INSTRUMENTS, rng)}, {voice}, {pick(_ROOMS, rng)}, "
        f"{keyscale} at {bpm} beats a minute, {timesignature} beats a bar"
    )
    text = " ".join(_NOT_IN_CAPTION.sub(" ", words).split()).rstrip(" .,;")
    if not text:
        return added
    room = CAPTION_CHARS - len(f"'; {added}'")
    # YAML may have to quote the caption; then it doubles each quote in it.
    used = accumulate(2 if char == "'" else 1 for char in text)
    fits = sum(length <= room for length in used)
    if fits < len(text):
        text = text[:fits].rpartition(" ")[0] or text[:fits]
    return f"{text}; {added}"
