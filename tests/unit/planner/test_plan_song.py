"""A job's song is written first, if it asks for that, and then planned as it was written."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from acestep_ray.planner.mock import MockPlanner
from acestep_ray.planner.plan_song import plan_song, with_text, write_request
from acestep_ray.planner.protocol import (
    Plan,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.settings import Lyrics, Mock

SAMPLE = {"kind": "sample", "query": "a sad song in French"}


def request(**values: Any) -> PlanRequest:
    base = {"job_id": "job", "attempt": 1, "caption": "", "lyrics": ""}
    return PlanRequest.model_validate(base | values)


class Planner(MockPlanner):
    """Notes what it is asked to plan."""

    def __init__(self, token_seconds: float = 0.0) -> None:
        super().__init__(Mock(token_seconds=token_seconds), Lyrics(), 60.0)
        self.planned: list[PlanRequest] = []

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        self.planned.append(request)
        async for event in super().plan(request):
            yield event


async def events(engine: MockPlanner, asked: PlanRequest) -> list[PlanProgress | Plan]:
    return [event async for event in plan_song(engine, asked)]


async def test_without_writing_it_is_the_engines_plan() -> None:
    engine = Planner()
    asked = request(caption="pop", seed=3)
    *_, plan = await events(engine, asked)
    assert isinstance(plan, Plan)
    assert plan.text is None
    assert engine.planned == [asked]


async def test_a_sample_is_written_and_planned() -> None:
    engine = Planner()
    *progress, plan = await events(engine, request(writing=SAMPLE, seed=3))
    assert isinstance(plan, Plan) and plan.text is not None
    stages = list(dict.fromkeys(e.stage for e in progress if isinstance(e, PlanProgress)))
    assert stages == ["writing", "metadata", "codes"]
    (planned,) = engine.planned
    assert (planned.caption, planned.lyrics) == (plan.text.caption, plan.text.lyrics)
    assert planned.writing is None
    assert planned.vocal_language == plan.metadata.language == "fr"
    metadata = plan.text.metadata.model_copy(update={"caption": None})
    assert plan.metadata == metadata  # nothing is chosen twice
    assert plan.seconds == metadata.duration
    assert plan.elapsed >= plan.text.elapsed > 0


async def test_the_users_values_are_kept() -> None:
    asked = request(writing=SAMPLE, bpm=61, duration=33.5, vocal_language="de")
    *_, plan = await events(Planner(), asked)
    assert isinstance(plan, Plan) and plan.text is not None
    assert (plan.metadata.bpm, plan.seconds, plan.metadata.language) == (61, 33.5, "de")
    assert plan.text.metadata.duration == 33


@pytest.mark.parametrize(
    ("language", "use_cot_language", "expected"),
    [
        ("en", None, ""),
        ("unknown", None, ""),
        ("de", None, "de"),
        ("en", False, "en"),
        ("de", True, "de"),
        ("en", True, ""),
    ],
)
def test_the_language_of_the_text(
    language: str, use_cot_language: bool | None, expected: str
) -> None:
    asked = request(writing=SAMPLE, vocal_language=language, use_cot_language=use_cot_language)
    assert write_request(asked).vocal_language == expected


def test_everything_that_concerns_the_text_is_passed_on() -> None:
    writing = {"kind": "format", "query": "q", "instrumental": True}
    asked = request(
        writing=writing,
        model="lm",
        caption="c",
        lyrics="l",
        bpm=90,
        key_scale="C major",
        time_signature="3",
        duration=20,
        vocal_language="ja",
        max_duration=100,
        seed=5,
        temperature=0.3,
        top_k=7,
        top_p=0.8,
    )
    written = write_request(asked)
    shared = (PlanRequest.model_fields.keys() & WriteRequest.model_fields.keys()) | {"model"}
    for name in shared:
        assert getattr(written, name) == getattr(asked, name) is not None, name
    own = {"kind", "query", "instrumental", "codes", "codes_after"}
    assert WriteRequest.model_fields.keys() - shared == own
    assert (written.kind, written.query, written.instrumental) == ("format", "q", True)


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"duration": 100.5}, 502),
        ({}, 50),  # of the shortest song
        ({"duration": 100, "infer_type": "dit"}, 0),
        ({"infer_type": "dit"}, 0),
    ],
)
def test_the_text_leaves_room_for_the_codes_that_follow(fields: dict[str, Any], codes: int) -> None:
    assert write_request(request(writing=SAMPLE, **fields)).codes_after == codes


async def test_an_empty_caption_does_not_replace_the_users() -> None:
    *_, text = [e async for e in Planner().write(WriteRequest(kind="sample"))]
    assert isinstance(text, SongText)
    planned = with_text(request(caption="mine"), text.model_copy(update={"caption": ""}))
    assert planned.caption == "mine"


class SilentPlanner(MockPlanner):
    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        yield PlanProgress(stage="writing", step=0, total=1)


async def test_an_engine_that_writes_nothing_is_an_error() -> None:
    engine = SilentPlanner(Mock(), Lyrics(), 60.0)
    with pytest.raises(PlannerError, match="wrote no text"):
        await events(engine, request(writing=SAMPLE))


async def test_an_illegal_value_is_an_error() -> None:
    asked = request(writing=SAMPLE).model_copy(update={"seed": -1})
    with pytest.raises(PlannerError, match="cannot be made: seed"):
        await events(Planner(), asked)


async def test_closing_while_it_writes_stops_the_writing() -> None:
    engine = Planner(token_seconds=1.0)
    async with asyncio.timeout(10):
        async with aclosing(plan_song(engine, request(writing=SAMPLE))) as stream:
            event = await anext(stream)
    assert isinstance(event, PlanProgress) and event.stage == "writing"
    assert engine.planned == []
