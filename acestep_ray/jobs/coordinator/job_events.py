"""The one place to which every change of a job comes, and from which everything else knows of it.

The changes that this coordinator's store has committed, those of its peers, and what runners report
about progress all end here. The change log, the event log, progress for polls and for webhooks, and
the observers (metrics, traces) are fed here and nowhere else, so that none of them misses a change.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from acestep_ray.jobs.coordinator.change_log import ChangeLog
from acestep_ray.jobs.coordinator.event_order import EventOrder
from acestep_ray.jobs.coordinator.live_state import LiveState
from acestep_ray.jobs.coordinator.pending_progress import PendingProgress
from acestep_ray.jobs.events import EventId, EventKind, JobEvent
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.records import ChangeKind, JobChange, JobRecord

logger = logging.getLogger(__name__)

Observer = Callable[[JobChange], None]
"""Called once with each change that this coordinator's store has committed, in order. It must not
wait. With several clusters on one store, each change has exactly one coordinator that observes
it."""

_KINDS = {
    ChangeKind.SUBMITTED: EventKind.SUBMITTED,
    ChangeKind.STARTED: EventKind.RUNNING,
    ChangeKind.REQUEUED: EventKind.REQUEUED,
    ChangeKind.ENDED: EventKind.ENDED,
    ChangeKind.DELETED: EventKind.DELETED,
}
_STOPS = frozenset({ChangeKind.REQUEUED, ChangeKind.ENDED, ChangeKind.DELETED})


@dataclass
class _Running:
    """An attempt that has begun, and the last progress that was published of it."""

    attempt: int
    owner: str
    progress: Progress | None = None


class JobEvents:
    """Publishes changes and progress. In one event loop.

    ``live`` keeps the progress for polls, ``pending`` the progress for webhooks. ``clock``: epoch
    seconds. ``changes``: ids of jobs, for runners and long polls. ``log``: events, for streams.
    """

    def __init__(
        self,
        live: LiveState,
        pending: PendingProgress,
        clock: Callable[[], float],
        observers: Sequence[Observer] = (),
    ) -> None:
        self.changes: ChangeLog[str] = ChangeLog()
        self.log: ChangeLog[JobEvent] = ChangeLog()
        self.pending = pending
        self._live = live
        self._clock = clock
        self._observers = tuple(observers)
        self._order = EventOrder()
        self._running: dict[str, _Running] = {}
        self._to_deliver = asyncio.Event()

    def publish(self, changes: Sequence[JobChange], *, own: bool) -> EventId:
        """Committed changes, in order. ``own``: of this coordinator's store, not of a peer's.

        Returns the id of the last event after them.
        """
        events = []
        for change in changes:
            if self._order.accepts(change):
                self._follow(change)
                if change.kind in _KINDS:
                    events.append(self._event(change))
            if own:
                self._observe(change)
        self.changes.publish(change.job_id for change in changes)
        self.log.publish(events)
        if any(change.webhook for change in changes):
            self._wake_deliveries()
        return self.log.version

    def _follow(self, change: JobChange) -> None:
        """Keep which attempts run."""
        if change.kind is ChangeKind.STARTED:
            self._begin(change.job_id, change.attempt, change.owner, change.webhook)
        elif change.kind in _STOPS:
            self._stop(change.job_id)

    def _begin(self, job_id: str, attempt: int, owner: str, webhook: str) -> None:
        known = self._running.get(job_id)
        if known is None or known.attempt != attempt:
            self._running[job_id] = _Running(attempt, owner)
        self.pending.subscribe(job_id, webhook)

    def _stop(self, job_id: str) -> None:
        self._running.pop(job_id, None)
        self._live.drop([job_id])
        self.pending.drop(job_id)

    def _event(self, change: JobChange) -> JobEvent:
        return JobEvent(
            _KINDS[change.kind],
            change.job_id,
            change.owner,
            change.at or self._clock(),  # an earlier release does not report the time
            change.status,
            change.attempt,
            error_code=change.error_code,
        )

    def _observe(self, change: JobChange) -> None:
        for observer in self._observers:
            try:
                observer(change)
            except Exception:
                # The change is committed and must be published.
                logger.exception("An observer of jobs failed")

    def knows(self, job_id: str, attempt: int) -> bool:
        """Whether it is known that this attempt runs."""
        running = self._running.get(job_id)
        return running is not None and running.attempt == attempt

    def learn(self, record: JobRecord) -> None:
        """A job as it is stored now. If it runs, its progress is published from now on, although
        this object has not seen its start: the coordinator was restarted since."""
        change = JobChange(record.job_id, ChangeKind.STARTED, record.status, attempt=record.attempt)
        if record.status is Status.RUNNING and self._order.accepts(change):
            self._begin(record.job_id, record.attempt, record.owner, record.webhook)

    def report(self, progress: Iterable[tuple[str, int, Progress]]) -> None:
        """How far jobs of this cluster are: (job id, attempt, progress). Reports of attempts that
        are not known to run are dropped."""
        events = []
        for job_id, attempt, one in progress:
            if self.knows(job_id, attempt):
                self._live.note(job_id, attempt, one)
                events += self._progressed(job_id, one)
        self.log.publish(events)
        due = [self.pending.put(event) for event in events]
        if any(due):
            self._wake_deliveries()

    def report_of_peers(self, progress: Iterable[tuple[str, int, Progress]]) -> None:
        """The same for jobs of other clusters, which send the webhooks of these jobs."""
        events = []
        for job_id, attempt, one in progress:
            if self.knows(job_id, attempt):
                events += self._progressed(job_id, one)
        self.log.publish(events)

    def _progressed(self, job_id: str, progress: Progress) -> list[JobEvent]:
        """The event of this progress; none if it is not more than what was published."""
        running = self._running[job_id]
        last = running.progress
        if last and (progress == last or progress.fraction < last.fraction):
            return []
        running.progress = progress
        same = last is not None and last.stage == progress.stage
        kind = EventKind.PROGRESS if same else EventKind.STAGE
        return [
            JobEvent(
                kind,
                job_id,
                running.owner,
                self._clock(),
                Status.RUNNING,
                running.attempt,
                progress,
            )
        ]

    def attempts(self) -> list[tuple[str, int]]:
        """Every (job, attempt) that is known to run."""
        return [(job_id, running.attempt) for job_id, running in self._running.items()]

    def forget(self, attempts: Iterable[tuple[str, int]]) -> None:
        """These attempts no longer have their jobs. How that came to be is not known."""
        for job_id, attempt in attempts:
            if self.knows(job_id, attempt):
                self._stop(job_id)

    def miss(self) -> None:
        """Some changes are unknown: every reader has to read everything again."""
        self.changes.miss()
        self.log.miss()
        self._wake_deliveries()

    def close(self) -> None:
        """Let all readers return at once."""
        self.changes.close()
        self.log.close()
        self._wake_deliveries()

    @property
    def to_deliver(self) -> asyncio.Event:
        """Set at the next moment at which a message for a webhook may have become due."""
        return self._to_deliver

    def _wake_deliveries(self) -> None:
        self._to_deliver.set()
        self._to_deliver = asyncio.Event()
