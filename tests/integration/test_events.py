"""Streams of events of a running service, through Serve's own proxy."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Event as Flag

from tests.event_client import Event, EventClient, check_job, check_progress
from tests.service import Service

JOBS = 50


def follow(service: Service, job_id: str) -> list[Event]:
    with EventClient(service.url, f"/v1/jobs/{job_id}/events") as client:
        return list(client.follow())


def follow_all(client: EventClient, began: Flag, ends: int) -> list[Event]:
    """The stream of all jobs, until so many have ended."""
    events: list[Event] = []
    for event in client.follow():
        began.set()
        events.append(event)
        if [one.name for one in events].count("ended") == ends:
            break
    return events


def test_fifty_jobs_at_once(service: Service) -> None:
    """What would break for whom: a bar that falls, jumps over a stage or never gets full, in a
    client that follows its own job, and in one that follows all."""
    began = Flag()
    with ThreadPoolExecutor(JOBS + 1) as pool, EventClient(service.url, "/v1/events") as client:
        everything = pool.submit(follow_all, client, began, JOBS)
        began.wait()
        ids = [
            service.submit(
                caption=f"{number}", audio_duration=10, batch_size=1, use_5hz_lm=number % 2 == 0
            )
            for number in range(JOBS)
        ]
        streams = [stream.result() for stream in [pool.submit(follow, service, i) for i in ids]]
        every = everything.result()
    for job_id, events in zip(ids, streams, strict=True):
        assert {event.data["job_id"] for event in events} == {job_id}
        check_job(events)
        of_job = [event for event in every if event.data.get("job_id") == job_id]
        if len(events) > 2:  # it has not ended before it was followed
            # What the job's own stream has, the stream of all jobs has under the same ids.
            assert [e.id for e in of_job][-len(events) + 1 :] == [e.id for e in events[1:]]
        names = [event.name for event in of_job]
        assert (names[:2], names[-1]) == (["submitted", "running"], "ended")
        progress = [e.data["progress"] for e in of_job if e.name in ("stage", "progress")]
        check_progress(progress)
        stages = list(dict.fromkeys(one["stage"] for one in progress))
        assert stages[-3:] == ["diffusion", "vae", "storing"]
        assert progress[-1]["fraction"] == 1.0
        assert of_job[-1].data["job"] == service.job(job_id)
    versions = [event.version for event in every[1:]]
    assert versions == list(range(versions[0], versions[0] + len(versions)))


def test_cuts_at_any_place(service: Service) -> None:
    """The second client sees what the first sees, although it is cut off all the time."""
    began = Flag()
    with (
        ThreadPoolExecutor(1) as pool,
        EventClient(service.url, "/v1/events") as one,
        EventClient(service.url, "/v1/events") as other,
    ):
        whole = pool.submit(follow_all, one, began, 5)
        began.wait()
        following = other.follow(cuts=[1, 1, 2, 3, 1, 2, 4, 1, 1, 1, 1])
        state = next(following)
        for number in range(5):
            service.submit(caption=f"{number}", audio_duration=5, batch_size=1)
        expected = whole.result()[1:]
        assert list(islice(following, len(expected))) == expected
        assert other.connections == 12
    assert state.name == "state" and "reset" not in state.data


def test_a_stream_begins_anew_after_the_job_store_actor_was_killed(service: Service) -> None:
    job_id = service.submit(caption="x", audio_duration=240, batch_size=4, use_5hz_lm=True)
    with EventClient(service.url, f"/v1/jobs/{job_id}/events") as client:
        following = client.follow()
        assert next(following).name == "state"
        service.kill("ray::JobStoreActor")
        rest = list(following)
    states = [event for event in rest if event.name == "state"]
    assert [event.data["reset"] for event in states] == [True]
    assert rest[-1].name == "ended"
    assert rest[-1].data["job"] == service.job(job_id)
    assert client.connections == 1, "it began anew on the same connection"
