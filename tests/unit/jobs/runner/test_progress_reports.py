"""What a runner reports: every stage in order, the last step of each, and before the end."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from acestep_ray.decoder.events import DecodeEvent, DecodeProgress
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.events import EventKind, OfJob
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.runner.progress_reports import ProgressReports
from acestep_ray.jobs.runner.runner import Runner
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.harness import until
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.runner.submitting import LM, reaches, submit
from tests.unit.jobs.specs import spec

Report = list[tuple[str, int, Progress]]


def at(stage: str, step: int) -> Progress:
    return Progress(stage=stage, step=step, total=8, fraction=0.5)


class Receiver:
    """Keeps what is sent; waits for the gate, and fails as often as the test wants."""

    def __init__(self) -> None:
        self.sent: list[Report] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, report: Report) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        self.sent.append(report)


async def test_no_stage_is_left_out_and_only_the_last_step_of_each_is_sent() -> None:
    receiver = Receiver()
    reports = ProgressReports(receiver)
    for step in (at("codes", 1), at("codes", 8), at("encoding", 1), at("diffusion", 0)):
        reports.put("a", 1, step)
    reports.put("b", 1, at("vae", 1))
    await reports.wait()
    await reports.send()
    await reports.send()
    assert receiver.sent == [
        [
            ("a", 1, at("codes", 8)),
            ("a", 1, at("encoding", 1)),
            ("a", 1, at("diffusion", 0)),
            ("b", 1, at("vae", 1)),
        ]
    ]


async def test_another_attempt_begins_anew() -> None:
    receiver = Receiver()
    reports = ProgressReports(receiver)
    reports.put("a", 1, at("vae", 1))
    reports.put("a", 2, at("codes", 1))
    reports.drop("a", 1)  # the end of the first attempt
    await reports.send()
    reports.put("a", 2, at("codes", 2))
    reports.drop("a", 2)
    await reports.send()
    assert receiver.sent == [[("a", 2, at("codes", 1))]]


async def test_what_could_not_be_sent_is_sent_later_in_order() -> None:
    receiver = Receiver()
    receiver.failures = 1
    reports = ProgressReports(receiver)
    reports.put("a", 1, at("codes", 8))
    receiver.gate.clear()
    sending = asyncio.create_task(reports.send())
    await asyncio.sleep(0)
    reports.put("a", 1, at("diffusion", 1))
    receiver.gate.set()
    with pytest.raises(ConnectionError):
        await sending
    await reports.wait()
    await reports.send()
    assert receiver.sent == [[("a", 1, at("codes", 8)), ("a", 1, at("diffusion", 1))]]


async def test_an_end_waits_for_a_report_that_is_under_way() -> None:
    """Otherwise the progress would come after the end, and be dropped."""
    receiver = Receiver()
    reports = ProgressReports(receiver)
    reports.put("a", 1, at("vae", 1))
    receiver.gate.clear()
    sending = asyncio.create_task(reports.send())
    await asyncio.sleep(0)
    before_the_end = asyncio.create_task(reports.send_those_of("a"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not before_the_end.done()
    receiver.gate.set()
    await before_the_end
    await sending
    assert receiver.sent == [[("a", 1, at("vae", 1))]]
    receiver.gate.clear()
    await reports.send_those_of("a")  # nothing is left: it does not wait


async def test_every_stage_of_a_short_job_is_an_event_before_its_end(
    client: LocalClient, engines: FakeEngines, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that takes less time than there is between two reports."""

    async def decode(request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        for stage in ("encoding", "diffusion", "vae", "storing"):
            for step in range(3):
                yield DecodeProgress(stage=stage, step=step, total=2)
        yield engines.last(request)

    monkeypatch.setattr(engines, "decode", decode)
    if client.coordinator._peers is not None:  # the first exchange: read everything
        await until(lambda: client.coordinator._peer_updates > 0)
    start = await client.events(None, 0)
    ids = [await submit(client, spec(LM)) for _ in range(3)]
    for job_id in ids:
        await reaches(client, job_id, Status.SUCCEEDED)
        found = await client.events((start.epoch, start.version), 0, OfJob(job_id))
        assert not found.missed
        events = [event for _, event in found.entries]
        stages = [e.progress.stage for e in events if e.kind is EventKind.STAGE and e.progress]
        assert [one for one in stages if one not in ("metadata", "codes")] == [
            *("waiting", "encoding", "diffusion", "vae", "storing"),
        ]
        fractions = [event.progress.fraction for event in events if event.progress]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        assert events[-1].kind is EventKind.ENDED
        assert [event.kind for event in events[:2]] == [EventKind.SUBMITTED, EventKind.RUNNING]
