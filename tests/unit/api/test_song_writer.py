"""Direct calls of the language model: a few at a time, for a limited wait, and never for nobody."""

import asyncio

import httpx
import pytest

from acestep_ray.api import song_writer
from acestep_ray.jobs.runner.workflow import NoWorker
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import MOCK_LM, TURBO, ApiHarness, problem_of
from tests.unit.api.upstream.asgi import Client
from tests.unit.api.upstream.tasks import data_of
from tests.unit.api.upstream.writers import BEGUN, QUEUED, TEXT, Writers

SHORT = {"direct_wait": 0.05}
PATH = "/format_input"
FIELDS = {"prompt": "x"}


async def post(api: ApiHarness) -> httpx.Response:
    return await api.http.post(PATH, json=FIELDS)


async def until_asked(writers: Writers, times: int) -> None:
    async with asyncio.timeout(60):
        while len(writers.asked) < times:
            await asyncio.sleep(0)


async def test_only_so_many_are_made_at_a_time(make_api: MakeHarness) -> None:
    writers = Writers(BEGUN, None, TEXT)
    api = await make_api(writers, limits={"direct_calls": 2})
    calls = [asyncio.create_task(post(api)) for _ in range(5)]
    await until_asked(writers, 2)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(writers.asked) == 2
    writers.go.set()
    for call in calls:
        data_of(await call)
    assert (len(writers.asked), writers.most_at_work) == (5, 2)


async def test_a_call_that_finds_no_slot_in_time(make_api: MakeHarness) -> None:
    writers = Writers(BEGUN, None, TEXT)
    api = await make_api(writers, limits={"direct_calls": 1, **SHORT})
    first = asyncio.create_task(post(api))
    await until_asked(writers, 1)
    answer = await post(api)
    problem_of(answer, 429, "planner_busy")
    assert int(answer.headers["retry-after"]) > 0
    writers.go.set()
    data_of(await first)  # what has begun may take longer than the wait
    data_of(await post(api))


async def test_a_planner_that_is_busy_for_too_long(make_api: MakeHarness) -> None:
    writers = Writers(QUEUED, None, TEXT)
    api = await make_api(writers, limits=SHORT)
    problem_of(await post(api), 429, "planner_busy")
    assert (writers.at_work, writers.stopped) == (0, 1)


async def test_no_replica_is_up_in_time(make_api: MakeHarness) -> None:
    writers = Writers(None)  # at a planner without replicas, the call waits and starts one
    api = await make_api(writers, limits=SHORT)
    api.service.deploy = Deployed((MOCK_LM,), (TURBO,), ready=True, planner_slots={})
    answer = await post(api)
    problem_of(answer, 503, "not_ready")
    assert int(answer.headers["retry-after"]) > 0 and writers.stopped == 1


async def test_a_replica_that_is_being_replaced_is_asked_again(
    make_api: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(song_writer, "PAUSE", 0.001)
    writers = Writers()
    writers.scripts = [[NoWorker("It is being replaced.")], [QUEUED, NoWorker("Again.")]]
    data_of(await post(await make_api(writers)))
    assert len(writers.asked) == 3


async def test_a_text_that_never_ends(make_api: MakeHarness) -> None:
    writers = Writers(BEGUN, None)
    api = await make_api(writers, jobs={"timeout": 0.05})
    problem_of(await post(api), 503, "unavailable")
    assert writers.stopped == 1


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
@pytest.mark.parametrize("events", [(BEGUN, None), (QUEUED, None), (None,)])
async def test_a_client_that_disconnects_ends_the_work(
    make_api: MakeHarness, how: str, events: tuple[object, ...]
) -> None:
    writers = Writers(*events)  # type: ignore[arg-type]
    api = await make_api(writers, limits={"direct_calls": 1})
    client = Client(api, PATH, FIELDS)
    await until_asked(writers, 1)
    if how == "disconnect":
        client.hang_up()
    else:
        client.task.cancel()
    await client.end()
    assert (writers.at_work, writers.stopped) == (0, 1)
    writers.usual = (BEGUN, TEXT)
    data_of(await post(api))  # its slot is free


async def test_a_client_that_disconnects_while_it_waits_for_a_slot(make_api: MakeHarness) -> None:
    writers = Writers(BEGUN, None, TEXT)
    api = await make_api(writers, limits={"direct_calls": 1})
    first = asyncio.create_task(post(api))
    await until_asked(writers, 1)
    client = Client(api, PATH, FIELDS)
    for _ in range(100):
        await asyncio.sleep(0)
    client.hang_up()
    await client.end()
    writers.go.set()
    data_of(await first)
    assert len(writers.asked) == 1
