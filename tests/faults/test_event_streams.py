"""Clients of event streams are cut off all the time, and what serves them is killed meanwhile."""

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.event_client import Event, EventClient, check_progress
from tests.faults.drill import Drill
from tests.service import Service, until

CUTS = 10
INGRESS = "ray::ServeReplica:acestep:Ingress"


def cuts(chance: random.Random) -> Iterator[int]:
    """After how many events each connection is cut; the last one is not."""
    return (chance.randint(1, 5) for _ in range(CUTS))


class Follower:
    """Follows all jobs in a thread, from now on until one of them, the last, has ended."""

    def __init__(self, service: Service, seed: int) -> None:
        self.client = EventClient(service.url, "/v1/events")
        self.events: list[Event] = []
        self._service = service
        self._chance = random.Random(seed)
        self._last = ""
        self._pool = ThreadPoolExecutor(1)
        self._following = self._pool.submit(self._follow)
        until(lambda: self.events, "the stream does not begin")

    def _follow(self) -> None:
        for event in self.client.follow(cuts(self._chance)):
            self.events.append(event)
            if event.ends and event.data["job_id"] == self._last:
                return

    def to_the_end(self) -> list[Event]:
        """The events, up to the end of one more job."""
        self._last = self._service.submit(caption="the last", audio_duration=1, batch_size=1)
        with self.client, self._pool:
            self._following.result()
        assert self.client.connections >= CUTS + 1
        return self.events


def test_a_client_that_is_cut_off_misses_nothing_and_gets_nothing_twice(
    service: Service, jobs: int
) -> None:
    """Not even if its ingress replica dies: otherwise it would wait for the end of its job for
    ever, or count a song twice."""
    follower = Follower(service, 1)
    drill = Drill(service, jobs)
    drill.until_running()
    service.kill(INGRESS)
    drill.all_succeed()
    events = follower.to_the_end()
    assert [event.name for event in events].count("state") == 1, "it began anew"
    # All jobs are this client's, so every event has the next number.
    first = events[0].version
    assert [event.version for event in events] == list(range(first, first + len(events)))
    for job_id in drill.ids:
        of_job = [event for event in events if event.data.get("job_id") == job_id]
        names = [event.name for event in of_job]
        assert (names[:2], names[-1]) == (["submitted", "running"], "ended")
        assert of_job[-1].data["job"]["status"] == "succeeded"
        check_progress([e.data["progress"] for e in of_job if "progress" in e.data])


def test_streams_of_single_jobs_end_with_their_jobs(service: Service, jobs: int) -> None:
    """Each is cut off at other places."""

    def follow(job_id: str) -> list[Event]:
        with EventClient(service.url, f"/v1/jobs/{job_id}/events") as client:
            return list(client.follow(cuts(random.Random(job_id))))

    drill = Drill(service, jobs)
    ids = list(drill.ids)
    with ThreadPoolExecutor(jobs) as pool:
        streams = [pool.submit(follow, job_id) for job_id in ids]
        drill.until_running()
        service.kill(INGRESS)
        drill.all_succeed()
    for job_id, stream in zip(ids, streams, strict=True):
        events = stream.result()
        names = [event.name for event in events]
        assert (names[0], names[-1], names.count("ended")) == ("state", "ended", 1)
        if set(names) == {"state", "ended"}:
            continue  # it ended before it was followed, and may have been cut off before its end
        assert names.count("state") == 1, names
        versions = [event.version for event in events]
        assert all(a < b for a, b in itertools.pairwise(versions)), versions
        assert events[-1].data["job"] == service.job(job_id)


def test_streams_begin_anew_when_the_job_store_actor_dies(service: Service, jobs: int) -> None:
    """What they show is true again then, although some events are lost."""
    follower = Follower(service, 2)
    drill = Drill(service, jobs)
    drill.until_running()
    service.kill("ray::JobStoreActor")
    drill.all_succeed()
    events = follower.to_the_end()
    states = [event for event in events if event.name == "state"]
    assert [event.data.get("reset") for event in states] == [None, True]
    assert len({event.epoch for event in events}) == 2
    unfinished: set[str] = set()
    for before, event in itertools.pairwise(events):
        assert event.name == "state" or event.version == before.version + 1
        if event.name == "state":
            unfinished = {job["job_id"] for job in event.data["jobs"]}
        elif event.name == "ended":
            unfinished.remove(event.data["job_id"])
        else:
            unfinished.add(event.data["job_id"])
    assert unfinished == set()
