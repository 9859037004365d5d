"""Events come in order and each once, however often the connection is cut or the service starts."""

import itertools
from pathlib import Path

import pytest

from acestep_ray.client import (
    ApiError,
    Client,
    ConnectionFailed,
    Event,
    GenerateFields,
    NotFound,
    Retries,
    ServiceUnavailable,
    UnexpectedResponse,
)
from tests.event_client import STAGES
from tests.one_process import OneProcess, one_process
from tests.unit.client.conftest import MakeClient
from tests.unit.client.hostile import (
    CUT,
    JOB_ID,
    QUEUED,
    Reaction,
    answer,
    event,
    events,
    hostile,
    plain,
    problem,
)
from tests.unit.client.relay import relay

SHORT: GenerateFields = {"audio_duration": 2, "batch_size": 1, "audio_format": "wav"}
BEGIN = (
    f'id: epoch-1\nevent: state\nretry: 1000\ndata: {{"job_id": "{JOB_ID}", "status": "queued"}}'
)
ENDED = event(
    "ended",
    9,
    status="succeeded",
    job={"job_id": JOB_ID, "status": "succeeded", "result": {"audio_paths": []}},
)
PROGRESS = {"stage": "diffusion", "step": 1, "total": 8, "fraction": 0.4}


def check(found: list[Event]) -> None:
    """Whole: from the state to the success, stages in order, progress that never falls."""
    assert found[0].kind == "state"
    assert found[-1].kind == "ended"
    assert found[-1].job and found[-1].job.status == "succeeded"
    progress = [one.progress for one in found if one.progress]
    places = [STAGES.index(one.stage) for one in progress]
    assert places == sorted(places)
    assert [one.fraction for one in progress] == sorted(one.fraction for one in progress)


def test_a_job_is_followed_to_its_result(client: Client) -> None:
    job = client.generate(**SHORT)
    found = []
    for one in job.stream():
        found.append(one)
        assert (job.status, job.progress) == (one.status, one.progress)
    check(found)
    assert job.result and job.result.audio_paths
    assert [one.kind for one in job.stream()] == ["state", "ended"], "also after its end"


def test_nothing_is_lost_and_nothing_comes_twice_over_cuts(
    client_of: MakeClient, tmp_path: Path
) -> None:
    with (
        one_process(data=tmp_path, mock={"step_seconds": 0.3}) as slow,
        relay(slow.url) as network,
    ):
        job = client_of(network.url).generate(**SHORT)
        found = []
        for number, one in enumerate(job.stream()):
            found.append(one)
            if number in (1, 2, 4):
                network.cut()
    check(found)
    assert len([one for one in slow.seen if one.path.endswith("/events")]) >= 3
    ids = [int(one.id.rpartition("-")[2]) for one in found]
    assert ids == sorted(set(ids))
    assert not any(one.reset for one in found)


def test_a_stream_goes_on_over_a_restart_of_the_service(
    client_of: MakeClient, tmp_path: Path
) -> None:
    """Events that the old process knew alone are reported as lost."""
    found = []
    slow = {"step_seconds": 0.2}
    with one_process(data=tmp_path, mock=slow) as first, relay(first.url) as network:
        client = client_of(network.url)
        jobs = [client.generate(**SHORT) for _ in range(4)]  # the last one waits
        stream = jobs[-1].stream()
        found.append(next(stream))
        network.cut()
        first.stop()
        with one_process(data=tmp_path) as second:
            network.target = int(second.url.rpartition(":")[2])
            found += stream
    assert [one.kind for one in found[:2]] == ["state", "state"]
    assert [one.reset for one in found[:2]] == [False, True]
    check(found[1:])
    assert jobs[-1].status == "succeeded"


def test_every_fault_of_a_stream_is_survived(client_of: MakeClient) -> None:
    script = (
        answer(200, QUEUED),
        CUT,
        plain(404),
        problem(503, "too_many_streams"),
        events(BEGIN, event("running", 2), end=b"id: epoch-3\nevent: stage\ndata: {"),
        events(event("stage", 3, progress=PROGRESS), "id: epoch-4\n: heartbeat"),
        events(event("progress", 5, progress=PROGRESS), "id: epoch-6\nevent: stage\ndata: {}"),
        events("id: epoch-7\nevent: mood\ndata: nonsense"),
        events(event("something new", 8), ENDED, event("stage", 10)),
    )
    with hostile(*script) as server:
        job = client_of(server.url).job(JOB_ID)
        kinds = [one.kind for one in job.stream()]
    assert kinds == ["state", "running", "stage", "progress", "something new", "ended"]
    ids = [one.headers.get("last-event-id") for one in server.seen[4:]]
    assert ids == [None, "epoch-2", "epoch-4", "epoch-5", "epoch-5"]
    assert job.result


def test_a_stream_that_has_no_more_events_ends(client_of: MakeClient) -> None:
    script = (answer(200, QUEUED), events(BEGIN), answer(204, b""))
    with hostile(*script) as server:
        assert [one.kind for one in client_of(server.url).job(JOB_ID).stream()] == ["state"]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ((problem(404, "job_not_found"),), NotFound),
        ((answer(200, QUEUED),), UnexpectedResponse),
        ((problem(503, "too_many_streams"),), ServiceUnavailable),
        ((events(BEGIN, end=b"x"), CUT), ConnectionFailed),
    ],
)
def test_a_stream_that_cannot_go_on_is_reported(
    client_of: MakeClient, script: tuple[Reaction, ...], kind: type[ApiError]
) -> None:
    short = Retries(seconds=0.2, outage=0.2, first_pause=0.3, longest_pause=0.3)
    with hostile(answer(200, QUEUED), *script) as server:
        stream = client_of(server.url, retries=short).job(JOB_ID).stream()
        with pytest.raises(kind):
            list(stream)


def test_a_stream_that_is_left_is_closed(client_of: MakeClient, tmp_path: Path) -> None:
    """An ingress has a limit of open streams."""
    with one_process(data=tmp_path, events={"streams": 1}) as server:
        job = client_of(server.url).generate(**SHORT)
        for _ in range(3):
            stream = job.stream()
            assert next(stream).kind == "state"
            stream.close()  # as the end of a for loop does


def test_the_stages_of_a_planned_song_are_all_reported(server: OneProcess, client: Client) -> None:
    found = list(client.generate(use_5hz_lm=True, audio_duration=10).stream())
    check(found)
    stages = {one.progress.stage for one in found if one.progress}
    assert {"diffusion", "storing"} <= stages
    assert all(a.attempt <= b.attempt for a, b in itertools.pairwise(found))
