"""What planner and decoder get of a job, above all of a song whose text the LM wrote."""

from typing import Any, Literal

import pytest

from acestep_ray.jobs.engine_requests import decode_request, plan_request, song_words
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.protocol import (
    Metadata,
    Plan,
    PlanParameters,
    SongText,
    Writing,
)
from acestep_ray.settings import Settings
from tests.unit.jobs.specs import spec

SAMPLE = PlanParameters(infer_type="dit", writing=Writing(kind="sample", query="rain"))
FORMAT = PlanParameters(infer_type="dit", writing=Writing(kind="format"))
METADATA = Metadata(
    bpm=88, caption="A slow tune.", duration=95, keyscale="E minor", language="fr",
    timesignature="3",
)  # fmt: skip


def plan(*, text: bool = True, language: str = "fr", **changes: Any) -> Plan:
    metadata = METADATA.model_copy(update={"language": language})
    written = SongText(
        caption="A slow tune.", lyrics="[Verse]\nPluie", metadata=metadata, model="lm", elapsed=1
    )
    made = Plan(
        metadata=metadata.model_copy(update={"caption": None}),
        seconds=95.0,
        model="lm",
        elapsed=2.0,
        text=written if text else None,
    )
    return made.model_copy(update=changes)


def test_the_decoder_gets_what_the_lm_wrote() -> None:
    job = spec(SAMPLE, caption="rain")
    request = decode_request("job", 1, job, plan(), Settings())
    assert (request.caption, request.lyrics) == ("A slow tune.", "[Verse]\nPluie")
    assert (request.bpm, request.key_scale, request.time_signature) == (88, "E minor", "3")
    assert (request.seconds, request.codes) == (95.0, ())


def test_the_users_values_win() -> None:
    job = spec(SAMPLE, caption="rain", bpm=120, key_scale="C major", duration=30.5)
    request = decode_request("job", 1, job, plan(codes=(1, 2)), Settings())
    assert (request.bpm, request.key_scale, request.seconds) == (120, "C major", 30.5)
    assert request.codes == ((1, 2),)


@pytest.mark.parametrize(
    ("parameters", "asked", "written", "sung"),
    [
        (SAMPLE, "en", "fr", "fr"),  # the LM chose the language
        (SAMPLE, "unknown", "fr", "fr"),
        (SAMPLE, "ja", "ja", "ja"),
        (SAMPLE, "ja", "fr", "ja"),
        (SAMPLE, "en", "unknown", "en"),
        (FORMAT, "en", "fr", "fr"),  # the LM found the language of the lyrics
        (FORMAT, "unknown", "fr", "fr"),
        (FORMAT, "ja", "fr", "ja"),
    ],
)
def test_the_language_that_is_sung(
    parameters: PlanParameters, asked: str, written: str, sung: str
) -> None:
    job = spec(parameters, caption="rain", vocal_language=asked)
    request = decode_request("job", 1, job, plan(language=written), Settings())
    assert request.vocal_language == sung
    assert song_words(job, plan(language=written)).vocal_language == sung


@pytest.mark.parametrize("use_cot_caption", [True, False])
def test_a_plan_without_a_text(use_cot_caption: bool) -> None:
    """The decoder gets the language that the LM found, as its codes are in that language."""
    job = spec(PlanParameters(use_cot_caption=use_cot_caption), lyrics="la")
    words = song_words(job, plan(text=False, metadata=METADATA))
    assert words == ("A slow tune." if use_cot_caption else "song", "la", METADATA.language)
    assert song_words(job, None) == ("song", "la", "en")


@pytest.mark.parametrize("kind", ["sample", "format"])
def test_the_planner_gets_what_it_has_to_write(kind: Literal["sample", "format"]) -> None:
    writing = Writing(kind=kind, query="rain", instrumental=True)
    job = spec(PlanParameters(writing=writing, use_cot_language=False), lyrics="la", bpm=99)
    stored = JobSpec.model_validate_json(job.model_dump_json())
    assert stored == job and stored.from_description is (kind == "sample")
    request = plan_request("job", 1, stored, Settings())
    assert (request.writing, request.use_cot_language) == (writing, False)
    assert (request.caption, request.lyrics, request.bpm) == ("song", "la", 99)


def test_a_spec_of_an_earlier_release_writes_nothing() -> None:
    """Its stored form has neither of the later parameters."""
    stored = spec(PlanParameters(use_cot_caption=True)).model_dump(mode="json")
    for name in ("writing", "use_cot_language"):
        del stored["lm"][name]
    read = JobSpec.model_validate(stored)
    assert read.plan and read.plan.writing is None and read.plan.use_cot_language is None
    assert not read.from_description


def test_each_take_has_codes_from_its_seed() -> None:
    job = spec(PlanParameters(plan_per_take=True), seeds=(5, 6, 5))
    assert JobSpec.model_validate_json(job.model_dump_json()) == job
    request = plan_request("job", 1, job, Settings())
    assert (request.seed, request.seeds, request.code_seeds) == (5, (5, 6, 5), (5, 6))
    codes = ((1, 2), (3, 4), (1, 2))
    made = plan(text=False, codes=codes[0], take_codes=codes)
    assert decode_request("job", 1, job, made, Settings()).codes == codes


def test_one_take_and_one_plan_for_all_need_one_seed() -> None:
    for job in (
        spec(PlanParameters(plan_per_take=True), seeds=(5,)),
        spec(PlanParameters(), seeds=(5, 6)),
    ):
        request = plan_request("job", 1, job, Settings())
        assert (request.seed, request.seeds, request.code_seeds) == (5, (), (5,))
        made = plan(text=False, codes=(1, 2))
        assert decode_request("job", 1, job, made, Settings()).codes == ((1, 2),)


def test_a_stored_plan_of_an_earlier_release_is_for_all_takes() -> None:
    stored = plan(codes=(1, 2)).model_dump(mode="json")
    del stored["take_codes"]
    assert Plan.model_validate(stored).sequences == ((1, 2),)


@pytest.mark.parametrize("use_cot_language", [None, True, False])
@pytest.mark.parametrize("asked", ["en", "unknown", "ja"])
@pytest.mark.parametrize("written", ["en", "fr", "unknown"])
def test_lm_and_decoder_are_told_one_language(
    use_cot_language: bool | None, asked: str, written: str
) -> None:
    """Otherwise the singer of the codes and that of the decoder use different languages."""
    job = spec(PlanParameters(use_cot_language=use_cot_language), vocal_language=asked)
    given = Given.of(plan_request("job", 1, job, Settings())).language
    in_codes = given or written
    made = plan(text=False, language=in_codes)
    told = decode_request("job", 1, job, made, Settings()).vocal_language
    assert told == (asked if in_codes == "unknown" else in_codes)
    if use_cot_language is False or (use_cot_language is None and asked == "ja"):
        assert told == asked  # what the user named is kept
