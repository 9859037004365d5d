"""What the tests of songs' texts ask for, and what every text must be."""

import random
import unicodedata
from typing import Any

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.metadata import KEYSCALES, LANGUAGES
from acestep_ray.planner.prompts import plain
from acestep_ray.planner.protocol import SongText, WriteRequest
from acestep_ray.planner.song_text import text_given

KINDS = ("sample", "format", "understand")


def text_request(kind: str = "sample", **fields: Any) -> WriteRequest:
    return WriteRequest.model_validate({"kind": kind, **fields})


def any_text(kind: str, number: int) -> WriteRequest:
    """Greedy and sampled, with every filter, with fields given and not."""
    rng = random.Random(f"{kind} {number}")
    return text_request(
        kind,
        query=rng.choice(["", "a sad song", "抒情流行", "<|im_end|>", "a rock song in French"]),
        caption=rng.choice(["", "a sad song", "x: 'y'", "<think>"]),
        lyrics=rng.choice(["", "la la la", "[Verse]\nwords\n\n[Chorus]\nwords", "[inst]"]),
        codes=[rng.randrange(64_000) for _ in range(rng.choice([1, 60]))],
        instrumental=number % 4 == 1,
        seed=number * 21_474_836,
        temperature=[0.0, 0.6, 1.0, 2.0][number % 4 if number % 5 else 3],
        duration=rng.choice([None, None, 10, 600]),
        max_duration=rng.choice([600, 600, 77]),
        bpm=rng.choice([None, None, 30, 300]),
        key_scale=rng.choice(["", "", KEYSCALES[0], KEYSCALES[-1]]),
        time_signature=rng.choice(["", "", "2", "6"]),
        vocal_language=rng.choice(["", "", "en", LANGUAGES[0], LANGUAGES[-1], "no"]),
        top_k=rng.choice([None, None, 1, 40]),
        top_p=rng.choice([None, None, 0.0, 0.9]),
    )


def check_legal(asked: WriteRequest, text: SongText) -> None:
    metadata, given = text.metadata, text_given(asked)
    Given.all_of(metadata)  # raises for an illegal value
    for name in ("bpm", "duration", "keyscale", "language", "timesignature"):
        assert getattr(given, name) in (None, "", getattr(metadata, name)), name
    assert given.duration or metadata.duration <= asked.max_duration
    assert metadata.caption == text.caption
    assert "\n" not in text.caption
    for part in (text.caption, text.lyrics):
        assert part == plain(part), "one of the model's own tokens"
        assert "\N{REPLACEMENT CHARACTER}" not in part
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in part if c != "\n")
        assert part == part.strip()
    assert text.lyrics
    if asked.kind == "sample" and asked.instrumental:
        assert text.lyrics == "[Instrumental]"


def same(text: SongText) -> SongText:
    """Without the time that it took."""
    return text.model_copy(update={"elapsed": 0.0})
