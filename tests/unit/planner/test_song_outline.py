"""What is decided before the codes: the user's values, then the LM's, then the rules of length."""

from typing import Any

import pytest

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.protocol import Metadata, PlannerError, PlanRequest
from acestep_ray.planner.song_outline import Outline, needs_metadata, outline, read_metadata
from acestep_ray.settings import Lyrics

ANSWER = (
    "bpm: 96\ncaption: Warm pop\nduration: 95\nkeyscale: G major\nlanguage: en\ntimesignature: 4\n"
)
WRITTEN = Metadata(
    bpm=96, caption="Warm pop", duration=95, keyscale="G major", language="en", timesignature="4"
)


def settle(written: Metadata | None, longest: float = 600.0, **fields: object) -> Outline:
    base: dict[str, object] = {"job_id": "j", "attempt": 1, "caption": "", "lyrics": ""}
    request = PlanRequest.model_validate(base | fields)
    return outline(
        request,
        Given.of(request),
        written,
        lyrics=Lyrics(),
        default_seconds=60.0,
        longest=longest,
    )


def test_an_answer_is_read() -> None:
    assert read_metadata(ANSWER, Given()) == WRITTEN
    assert read_metadata(f"<think>\n{ANSWER}</think>\n\n<|audio_code_1|>", Given()) == WRITTEN


def test_the_users_fields_win() -> None:
    given = Given(bpm=30, duration=600, keyscale="A♭ minor", language="no", timesignature="2")
    read = read_metadata(ANSWER, given)
    assert read == Metadata(
        bpm=30,
        caption="Warm pop",
        duration=600,
        keyscale="A♭ minor",
        language="no",
        timesignature="2",
    )


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("bpm: 301", "bpm must be 30 to 300"),
        ("bpm: fast", "'fast' is not a whole number"),
        ("bpm: 0", "lack bpm"),
        ("duration: 9", "duration must be 10 to 600"),
        ("keyscale: H major", "keyscale"),
        ("keyscale:", "lack keyscale"),
        ("language: xx", "language"),
        ("timesignature: 5", "timesignature"),
    ],
)
def test_an_illegal_answer_is_an_error(wrong: str, named: str) -> None:
    name = wrong.partition(":")[0]
    lines = [wrong if line.startswith(f"{name}:") else line for line in ANSWER.splitlines()]
    with pytest.raises(PlannerError, match=named):
        read_metadata("\n".join(lines), Given())


def test_an_answer_without_a_caption_is_legal() -> None:
    lines = [line for line in ANSWER.splitlines() if not line.startswith("caption")]
    assert read_metadata("\n".join(lines), Given()).caption is None
    assert read_metadata(ANSWER.replace("Warm pop", "''"), Given()).caption is None


def test_metadata_are_needed_until_all_four_are_given() -> None:
    full = {"bpm": 90, "duration": 30, "keyscale": "C major", "timesignature": "4"}
    assert not needs_metadata(Given(**full))  # type: ignore[arg-type]
    for name in full:
        rest = {key: value for key, value in full.items() if key != name}
        assert needs_metadata(Given(**rest, language="de"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "lm", "longest", "seconds"),
    [
        ({"duration": 12.6}, 12, 600, 12.6),
        ({"duration": 12.6, "lyrics": "la"}, 12, 600, 12.6),
        ({}, 95, 600, 95),
        ({}, 20, 600, 20),  # short is allowed without lyrics
        ({"lyrics": "la la"}, 29, 600, 45),
        ({"lyrics": "la la"}, 30, 600, 30),
        ({"lyrics": "la la", "infer_type": "dit"}, 29, 600, 60),
        ({"lyrics": "word " * 330}, 29, 600, 150),
        ({"lyrics": "word " * 330}, 29, 100, 100),
    ],
)
def test_length(fields: dict[str, object], lm: int, longest: float, seconds: float) -> None:
    found = settle(WRITTEN.model_copy(update={"duration": lm}), longest, **fields)
    assert found.seconds == seconds
    assert found.metadata.duration == found.cot.duration == int(seconds)


def test_without_an_answer_all_is_the_users() -> None:
    fields: dict[str, Any] = {"bpm": 90, "duration": 30.9}
    fields |= {"key_scale": "C major", "time_signature": "4"}
    found = settle(None, **fields)
    assert found.seconds == 30.9
    assert found.metadata == Metadata(
        bpm=90, caption=None, duration=30, keyscale="C major", language="en", timesignature="4"
    )
    # "en" is what clients send if the user chose no language: it is not in the LM's prompt.
    assert found.cot.language == ""
    assert settle(None, vocal_language="zh", **fields).cot.language == "zh"
    assert settle(None, vocal_language="zh", **fields).metadata.language == "zh"
