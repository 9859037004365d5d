"""A client of the event streams that connects again where it was cut off, as browsers do."""

import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import EventSource

from tests.service import until

STAGES = (*("writing", "metadata", "codes", "waiting", "encoding", "diffusion", "vae", "storing"),)
"""In the order in which a job has them."""


@dataclass(frozen=True)
class Event:
    """One event with data, as it was received. ``id``: the last one that came, perhaps with an
    earlier event."""

    id: str
    name: str
    data: dict[str, Any]

    @property
    def epoch(self) -> str:
        """The first part of the id."""
        return self.id.rpartition("-")[0]

    @property
    def version(self) -> int:
        """The second part of the id: in the stream of all jobs they have no gaps."""
        return int(self.id.rpartition("-")[2])

    @property
    def ends(self) -> bool:
        """Whether it is the last one of a job's stream."""
        return self.name in ("ended", "deleted")


class EventClient:
    """Reads the stream at ``path``. ``heartbeats`` and ``connections`` count them."""

    def __init__(self, url: str, path: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        self._path = path
        self._last = ""
        self.heartbeats = self.connections = 0

    def __enter__(self) -> "EventClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def follow(self, cuts: Iterable[int] = ()) -> Iterator[Event]:
        """The events, of as many connections as it takes; those of a job up to its last.

        ``cuts``: the connection is cut after so many events, then after so many more, and so on.
        """
        lengths = iter(cuts)
        while True:
            length = next(lengths, None)
            connection, response = until(self._connect, f"{self._path} cannot be read")
            with connection:
                for count, event in enumerate(self._read(response), 1):
                    yield event
                    if event.ends and self._path.startswith("/v1/jobs/"):
                        return
                    if count == length:
                        break

    def _connect(self) -> tuple[ExitStack, httpx.Response] | None:
        """A connection, or None if the service is not up now."""
        headers = {"Last-Event-ID": self._last} if self._last else {}
        with ExitStack() as stack:
            try:
                stream = self._http.stream("GET", self._path, headers=headers)
                response = stack.enter_context(stream)
            except httpx.TransportError:
                return None
            if response.status_code != 200:
                assert response.status_code != 204, f"{self._path}: the end was missed"
                kind = response.headers.get("content-type", "")
                final = kind.startswith("application/problem+json") and response.status_code < 500
                assert not final, response.read()
                return None
            self.connections += 1
            return stack.pop_all(), response

    def _read(self, response: httpx.Response) -> Iterator[Event]:
        """The events until the connection ends."""
        try:
            for event in EventSource(response).iter_sse():
                self._last = event.id or self._last
                if event.data:
                    yield Event(event.id, event.event, json.loads(event.data))
                else:
                    self.heartbeats += 1
        except httpx.TransportError:
            return


def check_job(events: list[Event]) -> None:
    """The stream of one job that had no fault: each event once, in order, up to its success."""
    names = [event.name for event in events]
    assert names[0] == "state"
    assert names[-1] == "ended", names
    assert names.count("state") == names.count("ended") == 1
    assert events[-1].data["job"]["status"] == "succeeded", events[-1]
    assert not any(event.data.get("reset") for event in events)
    if names != ["state", "ended"]:  # otherwise it ended before, and the state has no id
        versions = [event.version for event in events]
        assert versions == sorted(set(versions)), versions
        assert len({event.epoch for event in events}) == 1
    check_progress([e.data["progress"] for e in events if e.name in ("stage", "progress")])


def check_progress(progress: list[dict[str, Any]]) -> None:
    """Stages in order, steps that rise within a stage, and a fraction that never falls."""
    places = [STAGES.index(one["stage"]) for one in progress]
    assert places == sorted(places), progress
    fractions = [one["fraction"] for one in progress]
    assert fractions == sorted(fractions), progress
    for before, after in itertools.pairwise(progress):
        if before["stage"] == after["stage"]:
            assert before["step"] <= after["step"] <= after["total"] == before["total"], progress
