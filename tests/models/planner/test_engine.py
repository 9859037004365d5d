"""The engine as the deployment sees it: events, cancellation, and the same plan under load."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.progress import Stage
from acestep_ray.planner.protocol import (
    Plan,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.transformers.engine import TransformersPlanner
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.planning import Planning, Progress
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.settings import Lm, Lyrics, Settings
from tests.models.planner.texts import text_request

FORCED = {"bpm": 90, "key_scale": "C major", "time_signature": "4"}


def request(**fields: object) -> PlanRequest:
    base = {"job_id": "j", "attempt": 1, "caption": "a sad song", "lyrics": "la", "duration": 10}
    return PlanRequest.model_validate(base | fields)


class Watched(Planning):
    """Counts tokens, and those that were begun after the caller had stopped waiting."""

    def __init__(self, planning: Planning) -> None:
        self.__dict__.update(planning.__dict__)
        self.tokens = 0
        self.closed = False
        self.wasted = 0
        self.plans = 0

    def plan(self, request: PlanRequest, progress: Progress) -> Plan:
        self.plans += 1

        def counted(stage: str, step: int, total: int) -> None:
            progress(stage, step, total)  # type: ignore[arg-type]
            self.tokens += 1
            self.wasted += self.closed

        return super().plan(request, counted)


@pytest.fixture
async def engine(terse: Planning, writer: TextWriter) -> AsyncGenerator[TransformersPlanner, None]:
    engine = TransformersPlanner(Watched(terse), writer)
    yield engine
    await engine.close()


def watched(engine: TransformersPlanner) -> Watched:
    planning = engine._planning
    assert isinstance(planning, Watched)
    return planning


async def plan_of(engine: TransformersPlanner, wanted: PlanRequest) -> Plan:
    *progress, plan = [event async for event in engine.plan(wanted)]
    assert isinstance(plan, Plan)
    assert all(isinstance(event, PlanProgress) for event in progress)
    return plan.model_copy(update={"elapsed": 0.0})


async def test_events(engine: TransformersPlanner) -> None:
    events = [event async for event in engine.plan(request(duration=60, **FORCED))]
    plan = events.pop()
    assert isinstance(plan, Plan)
    assert len(plan.codes) == 300
    assert plan.elapsed > 0
    assert not plan.mock
    assert plan.model == "acestep-5Hz-lm-tiny"
    steps = [(event.stage, event.step, event.total) for event in events]  # type: ignore[union-attr]
    assert steps[:3] == [("metadata", 0, 6), ("metadata", 6, 6), ("codes", 0, 300)]
    assert steps[-1] == ("codes", 300, 300)
    assert steps == sorted(set(steps), key=lambda step: (step[0] == "codes", step[1]))
    # A few times per second, and far less often than once per token.
    assert len(steps) <= 6 + plan.elapsed / 0.25


async def test_the_same_job_alone_under_load_and_again(engine: TransformersPlanner) -> None:
    wanted = [
        request(seed=1),
        request(seed=2, cfg_scale=2.5, lyrics="more words, other lengths"),
        request(seed=3, top_k=20, temperature=1.1),
        request(seed=4, temperature=0.0, cfg_scale=4.0, negative_prompt="noise " * 30),
    ]
    alone = [await plan_of(engine, one) for one in wanted]
    assert len({plan.codes for plan in alone}) == len(alone)

    async def cancelled() -> None:
        async with aclosing(engine.plan(request(duration=600, seed=9))) as events:
            async for event in events:
                if isinstance(event, PlanProgress) and event.stage == "codes":
                    return

    async with asyncio.TaskGroup() as group:
        tasks = []
        for one in (*wanted, *reversed(wanted)):
            tasks.append(group.create_task(plan_of(engine, one)))
            group.create_task(cancelled())
    under_load = [task.result() for task in tasks]
    assert under_load == [*alone, *reversed(alone)]


async def test_closing_stops_within_a_token(engine: TransformersPlanner) -> None:
    async with aclosing(engine.plan(request(duration=600, **FORCED))) as events:
        async for event in events:
            if isinstance(event, PlanProgress) and event.step:
                watched(engine).closed = event.stage == "codes"
            if watched(engine).closed:
                break
    assert watched(engine).wasted <= 40  # what ran between the event and the close
    assert watched(engine).tokens < 2000
    before = watched(engine).tokens
    assert len((await plan_of(engine, request(**FORCED))).codes) == 50
    assert watched(engine).tokens - before < 60  # the closed job does not compute any more


async def test_cancelling_the_reader_stops_the_work(engine: TransformersPlanner) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(engine.plan(request(duration=600, **FORCED))) as events:
            async for _ in events:
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watched(engine).tokens < 2000


async def test_a_job_that_is_closed_while_it_waits_never_starts(
    engine: TransformersPlanner,
) -> None:
    first = asyncio.create_task(plan_of(engine, request(duration=60, **FORCED)))
    waiting = engine.plan(request())
    reader = asyncio.create_task(anext(waiting))
    await asyncio.wait([reader], timeout=0.01)
    reader.cancel()
    await asyncio.wait([reader])
    await waiting.aclose()
    assert len((await first).codes) == 300
    await plan_of(engine, request(**FORCED))
    assert watched(engine).plans == 2


async def test_a_job_behind_another_tells_that_it_waits(engine: TransformersPlanner) -> None:
    first = engine.plan(request(duration=60, **FORCED))
    assert await anext(first) == PlanProgress(stage="metadata", step=0, total=6)
    second = engine.plan(request(**FORCED))
    assert await anext(second) == PlanProgress(stage="waiting", step=0, total=1)
    await first.aclose()
    assert await anext(second) == PlanProgress(stage="waiting", step=1, total=1)
    assert await anext(second) == PlanProgress(stage="metadata", step=0, total=6)
    await second.aclose()


async def test_a_text_has_its_progress_and_a_plan_waits_for_it(
    engine: TransformersPlanner,
) -> None:
    first = engine.write(text_request(query="a sad song"))
    begun = await anext(first)
    assert isinstance(begun, PlanProgress)
    assert (begun.stage, begun.step) == ("writing", 0)
    second = engine.plan(request(**FORCED))
    assert await anext(second) == PlanProgress(stage="waiting", step=0, total=1)
    await first.aclose()
    assert await anext(second) == PlanProgress(stage="waiting", step=1, total=1)
    await second.aclose()
    *progress, text = [event async for event in engine.write(text_request(query="a sad song"))]
    assert isinstance(text, SongText)
    assert (text.model, text.mock) == ("acestep-5Hz-lm-tiny", False)
    assert progress[0] == begun
    assert progress[-1] == begun.model_copy(update={"step": begun.total})


async def test_closing_in_the_lyrics_stops_within_a_token(
    lm: LanguageModel, terse: Planning
) -> None:
    tokens = wasted = 0
    closed = False

    class WatchedWriter(TextWriter):
        def write(self, request: WriteRequest, progress: Progress) -> SongText:
            def counted(stage: Stage, step: int, total: int) -> None:
                nonlocal tokens, wasted
                progress(stage, step, total)
                tokens += 1
                wasted += closed

            return super().write(request, counted)

    writer = WatchedWriter(lm, Lm(caption_tokens=8, lyrics_tokens=2048), Lyrics())
    engine = TransformersPlanner(terse, writer)
    async with aclosing(engine.write(text_request(query="a sad song"))) as events:
        async for event in events:
            # The metadata are never longer than that.
            if isinstance(event, PlanProgress) and event.step > 200:
                closed = True
                break
    assert wasted <= 40  # what ran between the event and the close
    assert 200 < tokens < 2000
    assert len((await plan_of(engine, request(**FORCED))).codes) == 50
    await engine.close()


async def test_a_refused_job_is_an_error_and_the_next_goes_on(engine: TransformersPlanner) -> None:
    with pytest.raises(PlannerError, match="there are: acestep-5Hz-lm-tiny"):
        await plan_of(engine, request(model="acestep-5Hz-lm-4B"))
    with pytest.raises(PlannerError, match="cannot fit"):
        await plan_of(engine, request(lyrics="la " * 9000))
    for text in (text_request(model="acestep-5Hz-lm-4B"), text_request(query="la " * 9000)):
        with pytest.raises(PlannerError, match=r"there are: acestep-5Hz-lm-tiny|cannot fit"):
            await anext(engine.write(text))
    named = await plan_of(engine, request(model="acestep-5Hz-lm-tiny", **FORCED))
    assert len(named.codes) == 50


async def test_a_failure_reaches_the_reader(
    engine: TransformersPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("acestep_ray.planner.transformers.planning.write_codes", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        await plan_of(engine, request(**FORCED))


async def test_a_failure_that_nobody_waits_for_is_logged(
    engine: TransformersPlanner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    closing = asyncio.Event()
    proceed = asyncio.Event()

    def fail(*_: object) -> None:
        loop.call_soon_threadsafe(closing.set)
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result(30)
        raise RuntimeError("the GPU is gone")

    monkeypatch.setattr("acestep_ray.planner.transformers.planning.write_codes", fail)
    events = engine.plan(request(**FORCED))
    await anext(events)
    await closing.wait()
    closed = asyncio.create_task(events.aclose())
    await asyncio.wait([closed], timeout=0.01)
    proceed.set()
    await closed
    assert "the GPU is gone" in caplog.text


async def test_settings_make_it(checkpoints: Path) -> None:
    settings = Settings(planner="pt", checkpoints=checkpoints)
    engine = make_planner(settings)
    assert isinstance(engine, TransformersPlanner)
    described = engine.describe()
    assert (described.engine, described.models, described.mock) == (
        "pt",
        ("acestep-5Hz-lm-tiny",),
        False,
    )
    await engine.close()
