"""The mock has every guarantee of a planner, so that what works with it works with a real one."""

import asyncio
import re
from contextlib import aclosing
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from acestep_ray.planner.codes import MAX_CODE
from acestep_ray.planner.grammar import Given, cot_text, metadata_regex, parse
from acestep_ray.planner.metadata import KEYSCALES
from acestep_ray.planner.mock import MockPlanner
from acestep_ray.planner.protocol import (
    Plan,
    PlannerEngine,
    PlannerError,
    PlanProgress,
    PlanRequest,
)
from acestep_ray.planner.song_outline import needs_metadata
from acestep_ray.settings import Lyrics, Mock
from acestep_ray.timebase import codes_of_seconds

CAPTIONS = (
    "",
    "upbeat pop song",
    "a sad waltz: slow, 'quoted' and \"double\"",
    "- [not] {yaml} # at all\n\ttabs & `code` <|audio_code_5|></think>",
    "it's " * 800,
    "长" * 4000,
    "null",
    "\x00\ufeff\u2028🎵",
)
LYRICS = "[Verse]\n" + "la " * 220


def request(caption: str = "pop", lyrics: str = "", **values: object) -> PlanRequest:
    return PlanRequest.model_validate(
        {"job_id": "job", "attempt": 1, "caption": caption, "lyrics": lyrics, **values}
    )


def planner(default_duration: float = 60.0, token_seconds: float = 0.0) -> MockPlanner:
    return MockPlanner(Mock(token_seconds=token_seconds), Lyrics(), default_duration)


async def events(asked: PlanRequest, **values: float) -> list[PlanProgress | Plan]:
    return [event async for event in planner(**values).plan(asked)]


async def plan(asked: PlanRequest, **values: float) -> Plan:
    last = (await events(asked, **values))[-1]
    assert isinstance(last, Plan)
    return last


def test_it_is_a_planner_and_says_that_it_is_mock() -> None:
    engine: PlannerEngine = planner()
    described = engine.describe()
    assert described.mock and described.engine == "mock"
    assert "acestep-5Hz-lm-1.7B" in described.models


@pytest.mark.parametrize("with_caption", [False, True])
@pytest.mark.parametrize("caption", CAPTIONS)
async def test_fifty_seeds_give_legal_plans(caption: str, with_caption: bool) -> None:
    free = re.compile(metadata_regex(Given(), 600, with_caption))
    seen = set()
    for seed in range(50):
        made = await plan(request(caption, seed=seed, use_cot_caption=with_caption))
        text = cot_text(Given.all_of(made.metadata))
        assert free.fullmatch(text)
        assert parse(text) == made.metadata.model_dump(exclude_none=True)
        assert made.mock
        assert len(made.codes) == codes_of_seconds(made.seconds) == 300
        assert min(made.codes) >= 0 and max(made.codes) <= MAX_CODE
        seen.add(made.codes)
    assert len(seen) == 50


@given(st.text(), st.text(), st.sampled_from(("en", "no", "unknown")))
@hypothesis_settings(max_examples=hypothesis_settings().max_examples // 2)
async def test_any_text_gives_a_legal_plan(caption: str, lyrics: str, language: str) -> None:
    made = await plan(request(caption, lyrics, vocal_language=language, use_cot_caption=True))
    text = cot_text(Given.all_of(made.metadata))
    assert re.fullmatch(metadata_regex(Given(), 600, with_caption=True), text)
    assert parse(text) == made.metadata.model_dump()


REQUESTS = st.builds(
    request,
    st.sampled_from(CAPTIONS),
    bpm=st.none() | st.integers(30, 300),
    key_scale=st.sampled_from(("", *KEYSCALES)),
    time_signature=st.sampled_from(("", "2", "3", "4", "6")),
    duration=st.none() | st.floats(10, 600),
    vocal_language=st.sampled_from(("en", "de", "no")),
    use_cot_caption=st.booleans(),
)


@given(REQUESTS)
@hypothesis_settings(max_examples=hypothesis_settings().max_examples * 3 // 5)
async def test_what_the_user_gave_comes_back_as_given(asked: PlanRequest) -> None:
    made = await plan(asked)
    given = Given.of(asked)
    regex = metadata_regex(given, 600, asked.use_cot_caption and needs_metadata(given))
    assert re.fullmatch(regex, cot_text(Given.all_of(made.metadata)))
    assert asked.bpm in (None, made.metadata.bpm)
    assert asked.key_scale in ("", made.metadata.keyscale)
    assert asked.time_signature in ("", made.metadata.timesignature)
    assert asked.duration in (None, made.seconds)
    assert made.metadata.duration == int(made.seconds)
    assert len(made.codes) == codes_of_seconds(made.seconds)
    assert made.metadata.language == asked.vocal_language


async def test_a_duration_between_two_codes_is_floored() -> None:
    made = await plan(request(duration=12.5))
    assert (made.seconds, made.metadata.duration, len(made.codes)) == (12.5, 12, 62)
    longest = await plan(request(duration=600.0))
    assert len(longest.codes) == 3000


async def test_the_same_request_gives_the_same_plan_and_its_text_and_seed_matter() -> None:
    asked = request("pop", LYRICS, seed=7)
    first, again = await plan(asked), await plan(asked)
    assert first.model_copy(update={"elapsed": 0.0}) == again.model_copy(update={"elapsed": 0.0})
    for other in ({"caption": "pop!"}, {"lyrics": LYRICS + "la"}, {"seed": 8}):
        assert (await plan(asked.model_copy(update=other))).codes != first.codes
    fixed = await plan(asked.model_copy(update={"bpm": 100, "job_id": "other", "attempt": 2}))
    assert fixed.codes == first.codes


async def test_a_plan_is_the_same_on_every_machine() -> None:
    """Replay works across processes and versions of Python; a change here breaks it for users."""
    made = await plan(request("upbeat pop song", "Hello world", seed=42, duration=10.0))
    assert made.codes[:4] == (7148, 27722, 55223, 51937)


async def test_greedy_plans_do_not_depend_on_the_seed() -> None:
    one, two = [await plan(request("rock", seed=seed, temperature=0)) for seed in (1, 2)]
    assert one.codes == two.codes
    assert one.metadata == two.metadata
    assert one.codes != (await plan(request("jazz", temperature=0))).codes


async def test_the_caption_is_kept_and_enriched() -> None:
    made = await plan(request("upbeat pop song", LYRICS, use_cot_caption=True))
    assert made.metadata.caption is not None
    assert made.metadata.caption.startswith("upbeat pop song; ")
    assert "lead voice" in made.metadata.caption
    assert made.metadata.keyscale in made.metadata.caption
    other = await plan(request("pop", " [Instrumental]\n", use_cot_caption=True))
    assert "no vocals" in (other.metadata.caption or "")


async def test_no_caption_is_written_that_the_decoder_would_not_read() -> None:
    asked = request("upbeat pop song", LYRICS)
    without, with_caption = [
        await plan(asked.model_copy(update={"use_cot_caption": use})) for use in (False, True)
    ]
    assert without.metadata.caption is None and with_caption.metadata.caption
    captioned = with_caption.metadata.model_copy(update={"caption": None})
    assert captioned == without.metadata
    assert with_caption.codes == without.codes
    given = {"bpm": 90, "duration": 30, "key_scale": "C major", "time_signature": "4"}
    complete = await plan(asked.model_copy(update={**given, "use_cot_caption": True}))
    assert complete.metadata.caption is None  # like a real LM, which is then not used for metadata


async def test_the_language_is_that_of_the_lyrics_where_none_was_chosen() -> None:
    assert (await plan(request(lyrics="我爱你 你爱我"))).metadata.language == "zh"
    assert (await plan(request(lyrics="la la la"))).metadata.language == "en"
    chosen = await plan(request(lyrics="我爱你 你爱我", vocal_language="yue"))
    assert chosen.metadata.language == "yue"


@pytest.mark.parametrize(
    ("lyrics", "values", "default", "seconds"),
    [
        (LYRICS, {}, 60.0, 100.0),  # 221 words at 2.2 per second, whole seconds
        ("Hello world", {}, 60.0, 45.0),
        ("", {}, 60.0, 60.0),
        ("", {}, 5.0, 10.0),  # the LM's shortest length
        (" [INST]\n", {}, 60.0, 60.0),
        ("", {"max_duration": 30.0}, 60.0, 30.0),
        (LYRICS, {"max_duration": 20.0}, 60.0, 20.0),
        (LYRICS, {"infer_type": "dit"}, 60.0, 100.0),
        (LYRICS, {"duration": 11.3}, 60.0, 11.3),
    ],
)
async def test_the_length(
    lyrics: str, values: dict[str, object], default: float, seconds: float
) -> None:
    made = await plan(request("pop", lyrics, **values), default_duration=default)
    assert made.seconds == seconds
    assert made.metadata.duration == int(seconds)


async def test_progress_begins_and_ends_each_stage() -> None:
    seen = await events(request(duration=20.0))
    assert [(e.stage, e.step, e.total) for e in seen if isinstance(e, PlanProgress)] == [
        ("metadata", 0, 1),
        ("metadata", 1, 1),
        ("codes", 0, 100),
        ("codes", 100, 100),
    ]
    assert isinstance(seen[-1], Plan)


async def test_each_take_has_the_codes_of_its_seed() -> None:
    seen = await events(request(seed=4, seeds=(4, 5, 4, 6), duration=12))
    made = seen.pop()
    assert isinstance(made, Plan)
    alone = [await plan(request(seed=seed, duration=12)) for seed in (4, 5, 4, 6)]
    assert made.take_codes == tuple(one.codes for one in alone)
    assert len(set(made.take_codes)) == 3 and made.codes == made.take_codes[0]
    assert made.metadata == alone[0].metadata
    assert not any(one.take_codes for one in alone)
    # The seed 4 is written once.
    assert seen[-1] == PlanProgress(stage="codes", step=180, total=180)
    greedy = await plan(request(seed=4, seeds=(4, 5), duration=12, temperature=0))
    assert greedy.take_codes == (greedy.codes, greedy.codes)
    none = await plan(request(seed=4, seeds=(4, 5), infer_type="dit"))
    assert (none.codes, none.take_codes, none.sequences) == ((), (), ())


async def test_takes_are_planned_side_by_side() -> None:
    """Eight take as long as one: so does vllm, with enough room."""
    began = perf_counter()
    await plan(request(seed=0, seeds=tuple(range(8)), duration=10), token_seconds=0.01)
    assert perf_counter() - began >= 0.5
    together = await plan(request(seed=0, seeds=tuple(range(8)), duration=10), token_seconds=0.01)
    assert together.elapsed < 8 * 0.5


async def test_metadata_only_has_no_codes() -> None:
    seen = await events(request(infer_type="dit"))
    made = seen[-1]
    assert isinstance(made, Plan)
    assert made.codes == ()
    assert made.seconds == 60.0
    assert {e.stage for e in seen if isinstance(e, PlanProgress)} == {"metadata"}


async def test_token_seconds_take_their_time_and_progress_tells_of_it() -> None:
    started = perf_counter()
    seen = await events(request(duration=10.0), token_seconds=0.012)
    assert perf_counter() - started >= 50 * 0.012
    steps = [e.step for e in seen if isinstance(e, PlanProgress) and e.stage == "codes"]
    assert len(steps) >= 3
    assert steps[0] == 0 and steps[-1] == 50
    assert all(before <= after for before, after in pairwise(steps))


async def test_closing_and_cancelling_stop_at_once() -> None:
    engine = planner(token_seconds=1.0)
    asked = request(duration=600.0)

    async with asyncio.timeout(10):
        async with aclosing(engine.plan(asked)) as stream:
            async for event in stream:
                if isinstance(event, PlanProgress) and event.stage == "codes":
                    break

        under_way = asyncio.Event()

        async def read() -> None:
            async for event in engine.plan(asked):
                if isinstance(event, PlanProgress) and event.stage == "codes":
                    under_way.set()

        task = asyncio.create_task(read())
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(PlannerError, match=r"'huge'.*acestep-5Hz-lm-0\.6B"):
        await plan(request(model="huge"))
    assert (await plan(request(model="acestep-5Hz-lm-4B"))).model == "acestep-5Hz-lm-4B"
    assert (await plan(request())).model == "acestep-5Hz-lm-0.6B"


async def test_an_illegal_value_is_an_error_and_not_a_plan() -> None:
    with pytest.raises(PlannerError, match="keyscale 'H minor'"):
        await plan(request(key_scale="H minor"))
