"""Songs' texts from a started vLLM: legal, equal to those of ``pt``, each alone in its request."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from acestep_ray.planner.protocol import (
    Plan,
    PlannerError,
    PlanProgress,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.planner.vllm.engine import VllmPlanner
from acestep_ray.planner.vllm.writing import TextWriter as VllmTextWriter
from acestep_ray.settings import Lm, Lyrics, Settings
from tests.models.planner.texts import KINDS, any_text, check_legal, same, text_request
from tests.models.planner.vllm.songs import FORCED, HOSTILE, request
from tests.models.planner.vllm.started import LM, PLANS, nothing_left

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = LM.model_copy(update={"lyrics_tokens": 1000, "caption_tokens": 512})


async def text_of(engine: VllmPlanner | VllmTextWriter, asked: WriteRequest) -> SongText:
    *progress, text = [event async for event in engine.write(asked)]
    assert isinstance(text, SongText)
    assert all(isinstance(event, PlanProgress) for event in progress)
    return same(text)


async def plan_of(engine: VllmPlanner, **fields: Any) -> Plan:
    *_, plan = [event async for event in engine.plan(request(**FORCED, **fields))]
    assert isinstance(plan, Plan)
    return plan


def pt_with(lm: LanguageModel, settings: Lm) -> TextWriter:
    """The context decides how long a song may be."""
    return TextWriter(replace(lm, context=settings.context), settings, Lyrics())


@pytest.fixture
def pt(lm: LanguageModel) -> TextWriter:
    return pt_with(lm, LM)


def text_of_pt(writer: TextWriter, asked: WriteRequest) -> SongText:
    return same(writer.write(asked, lambda *_: None))


async def test_texts_are_legal_every_time(engine: VllmPlanner) -> None:
    """Two hundred, of all kinds, as many at once as there are places."""
    wanted = [any_text(KINDS[number % 3], number) for number in range(200)]
    places = asyncio.Semaphore(2 * PLANS)

    async def written(one: WriteRequest) -> SongText:
        async with places:
            return await text_of(engine, one)

    texts = await asyncio.gather(*map(written, wanted))
    for one, text in zip(wanted, texts, strict=True):
        check_legal(one, text)
    assert len({text.caption for text in texts}) > 100
    await nothing_left(engine)


async def test_greedy_texts_are_those_of_pt(engine: VllmPlanner, pt: TextWriter) -> None:
    wanted = [
        text_request("sample", query="a sad song about rain", temperature=0),
        text_request("sample", query="drums", instrumental=True, temperature=0, bpm=200),
        text_request("format", caption="sad pop", lyrics="la la\n\nlo lo", temperature=0),
        text_request("format", caption="抒情", lyrics="我爱你", temperature=0, duration=30),
        text_request("understand", codes=range(0, 64_000, 700), temperature=0),
        text_request("understand", codes=(7,) * 300, temperature=0, vocal_language="no"),
    ]
    texts = await asyncio.gather(*(text_of(engine, one) for one in wanted))
    assert texts == [text_of_pt(pt, one) for one in wanted]
    assert len({text.caption for text in texts}) == len(wanted)


async def test_long_greedy_texts_are_those_of_pt(engine: VllmPlanner, lm: LanguageModel) -> None:
    """With a caption and lyrics as long as they get: random weights do not end them."""
    writer = VllmTextWriter(engine._requests, lm.tokenizer, lm.name, Settings(lm=LONG))
    asked = text_request("sample", query="a sad song", temperature=0)
    text = await text_of(writer, asked)
    assert len(text.caption) > 100 and len(text.lyrics) > 500
    assert text == text_of_pt(pt_with(lm, LONG), asked)


async def test_sampled_texts_do_not_depend_on_their_neighbours(engine: VllmPlanner) -> None:
    wanted = [text_request(kind, query="x", codes=(1,) * 60, seed=4) for kind in KINDS]
    alone = [await text_of(engine, one) for one in wanted]
    codes = (await plan_of(engine, seed=7, cfg_scale=2)).codes
    together = await asyncio.gather(*(text_of(engine, one) for one in wanted * 4))
    assert together == alone * 4
    plan = asyncio.create_task(plan_of(engine, seed=7, cfg_scale=2, duration=10))
    beside = await asyncio.gather(*(text_of(engine, one) for one in wanted))
    assert beside == alone
    assert (await plan).codes == codes


async def test_events(engine: VllmPlanner) -> None:
    events = [event async for event in engine.write(text_request("sample", query="x"))]
    text = events.pop()
    assert isinstance(text, SongText)
    assert text.model == "acestep-5Hz-lm-tiny" and text.elapsed > 0 and not text.mock
    steps = [(event.stage, event.step, event.total) for event in events]  # type: ignore[union-attr]
    total = steps[0][2]
    assert steps[0] == ("writing", 0, total)
    assert steps[-1] == ("writing", total, total)
    assert steps == sorted(set(steps))


async def test_a_reader_that_leaves_in_the_lyrics_ends_the_request(
    engine: VllmPlanner, lm: LanguageModel
) -> None:
    writer = VllmTextWriter(engine._requests, lm.tokenizer, lm.name, Settings(lm=LONG))
    asked = text_request("format", caption="x", lyrics="words")
    given_up: list[int] = []

    async def read(writer: VllmTextWriter) -> None:
        async with aclosing(writer.write(asked)) as events:
            async for event in events:
                # The metadata never take more tokens than these.
                if isinstance(event, PlanProgress) and 640 < event.step < event.total:
                    given_up.append(event.step)
                    return

    beside = asyncio.create_task(plan_of(engine, duration=60))
    await asyncio.gather(*(read(writer) for _ in range(3)))
    assert len(given_up) == 3
    await beside
    await nothing_left(engine)
    check_legal(asked, await text_of(engine, asked))


async def test_what_cannot_be_written_is_refused_with_numbers(engine: VllmPlanner) -> None:
    with pytest.raises(PlannerError, match=r"a prompt of 9\d+ tokens cannot fit .* 4096 tokens"):
        await text_of(engine, text_request("understand", codes=(1,) * 9000))
    with pytest.raises(PlannerError, match="there are: acestep-5Hz-lm-tiny"):
        await text_of(engine, text_request(model="acestep-5Hz-lm-4B"))


async def test_hostile_values_cost_only_their_own_request(
    engine: VllmPlanner, terse: Planning
) -> None:
    base = text_request("sample", query="x")
    hostile = [
        base.model_copy(update={field: value})
        for field in WriteRequest.model_fields
        for value in HOSTILE
    ]
    other = terse.plan(request(**FORCED), lambda *_: None)
    beside, *outcomes = await asyncio.gather(
        plan_of(engine), *(text_of(engine, one) for one in hostile), return_exceptions=True
    )
    for one, outcome in zip(hostile, outcomes, strict=True):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, PlannerError), one
            assert "\n" not in str(outcome)
    assert isinstance(beside, Plan)
    assert beside.codes == other.codes
    await engine.check()
