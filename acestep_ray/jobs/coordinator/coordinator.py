"""The inside of the job store actor: one store, its change log, and the live state."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from acestep_ray.jobs.client import LeaseRequest
from acestep_ray.jobs.coordinator.backlog import BacklogTotals, Throughput, measured
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.coordinator.eta import WaitEstimates
from acestep_ray.jobs.coordinator.group_commit import GroupCommit
from acestep_ray.jobs.coordinator.job_events import JobEvents, Observer
from acestep_ray.jobs.coordinator.live_state import LiveState
from acestep_ray.jobs.coordinator.maintenance import Maintenance
from acestep_ray.jobs.coordinator.peers import PeerListener, read_peer_states
from acestep_ray.jobs.coordinator.pending_progress import PendingProgress
from acestep_ray.jobs.events import EventId, JobEvent, OfJob, Topic
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, Snapshot, State
from acestep_ray.jobs.store.answers import Stored, stored
from acestep_ray.jobs.store.errors import StoreError, StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Backlog,
    Cancel,
    Deregister,
    Get,
    IsOwner,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    ListJobs,
    Op,
    Operation,
    Stats,
)
from acestep_ray.jobs.store.protocol import JobStore, PeerUpdate
from acestep_ray.jobs.store.records import DeliveryRecord, JobChange, JobRecord
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.replicas.autoscaling import AutoscalingLoad, DecoderLoad
from acestep_ray.replicas.capacity import Capacity, total_capacity
from acestep_ray.replicas.registry import ReplicaRegistry
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task

logger = logging.getLogger(__name__)

BACKLOG_SECONDS = 1.0
"""How old the totals of the backlog may be, in seconds: not every poll may read all jobs."""
CAPACITY = "capacity"
"""In the change log, instead of a job id: the replicas of this cluster have changed."""
MOST_UNFINISHED = 1000
"""Most queued, and most running jobs in the state of an owner."""
STATE_READS = 3
"""How often a state is read at most, if peers change jobs meanwhile."""
LOOK_FOR_DELIVERIES = 1.0
"""Seconds between two looks for stored messages that have become due."""


class JobCoordinator:
    """Applies the operations of all callers to one store. In one event loop.

    ``store_factory`` opens the store, in the thread that then uses it. ``registry``: this cluster's
    engine replicas. ``clock``: epoch seconds. ``observers``: see JobEvents.
    """

    def __init__(
        self,
        store_factory: Callable[[], JobStore],
        settings: Settings,
        registry: ReplicaRegistry | None = None,
        clock: Callable[[], float] = time.time,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.registry = registry or ReplicaRegistry()
        self._jobs = settings.jobs
        self._clock = clock
        self._default_seconds = settings.defaults.job_seconds
        self._totals = BacklogTotals((), Throughput(self._default_seconds))  # of this cluster
        self._waits = WaitEstimates(self._totals, Capacity())
        self._totalled_at = float("-inf")
        self._refresh_totals = SharedCall(self._read_backlog)
        self._cluster = ""
        self._planners: tuple[str, ...] = ()  # of this cluster's runners
        self._decoders: tuple[str, ...] = ()  # likewise, if there are several
        self._live = LiveState()
        pending = PendingProgress(settings.webhooks.progress_seconds)
        self._events = JobEvents(self._live, pending, clock, observers)
        self._store = GroupCommit(store_factory, clock, self._publish)
        self._peer_updates = 0
        self._learning: asyncio.Task[None] | None = None
        self._peers: PeerListener | None = None
        self._maintenance = Maintenance(settings.jobs, self._apply, clock, self._drop_ended)

    async def open(self) -> None:
        """Open the store and begin maintenance. Raises what the factory raises; a coordinator that
        could not be opened cannot be used any more."""
        try:
            await self._store.open()
            await self._maintenance.start()
        except BaseException:
            await self._store.close()
            raise
        self.registry.on_change = lambda: self._events.changes.publish([CAPACITY])
        if (peers := self._store.peers()) is not None:
            self._peers = PeerListener(peers, self._shared_state, self._update_from_peers)

    async def close(self) -> None:
        """Finish the calls under way, let waiting readers return, and close the store."""
        await self._maintenance.stop()
        peers, self._peers = self._peers, None
        if peers is not None:
            await peers.close()
        self._events.close()
        await self._store.close()

    async def apply(self, batch: Sequence[Op]) -> list[object]:
        """Apply operations in order, together with those of other callers; durable on return.

        Returns one result per operation, as JobStore.apply does, but with live state added: the
        second type that the operation's class declares. ``answered`` gives a result that type.
        Raises StoreUnavailable: then no operation of the batch was applied. Raises RuntimeError if
        maintenance has ended: then the coordinator must be replaced.
        """
        self.check()
        answers = await self._apply(batch)
        if any(isinstance(op, Get | ListJobs) for op in batch):
            with contextlib.suppress(StoreUnavailable):  # the batch is done; old totals suffice
                await self._ensure_totals()
        return [self._with_live_state(op, a) for op, a in zip(batch, answers, strict=True)]

    async def lease(self, request: LeaseRequest) -> list[JobRecord]:
        """Lease the next jobs that this cluster's engines can start now. Raises as ``apply``.

        A planner or decoder without a replica gets no jobs: they wait in the store, where
        autoscaling sees them. One plan may always be taken, because another planner makes the plans
        of a planner that is no longer deployed. A job is not leased if another cluster has its
        planner, or its decoder, and this one does not.
        """
        self.check()
        self._cluster, self._planners = request.cluster, request.planners
        self._decoders = request.decoders
        capacity = self.registry.snapshot().capacity()
        slots = {name: capacity.planner_slots.get(name, 0) for name in request.planners}
        decoder_slots = {name: capacity.decoder_slots.get(name, 0) for name in request.decoders}
        if request.decoders:  # jobs that were queued when there was only one
            decoder_slots[""] = decoder_slots[request.decoders[0]]
        lease = Lease(
            request.runner,
            request.request_id,
            plan_slots=max(1, sum(slots.values())),
            decode_slots=capacity.decode_slots,
            planner_slots={**dict.fromkeys(self._live.planners_elsewhere(), 0), **slots},
            cluster=request.cluster,
            decoder_slots={**dict.fromkeys(self._live.decoders_elsewhere(), 0), **decoder_slots},
        )
        return await self._ask(lease)

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        """How far jobs are, in order: (job id, attempt, progress). Raises as ``apply``.

        It is kept in memory and becomes events. The progress of an attempt that does not run, or no
        longer, is dropped.
        """
        await self._learn((job_id, attempt) for job_id, attempt, _ in progress)
        self._events.report(progress)

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """Which jobs changed after ``since`` (epoch, version); CAPACITY is among them if the
        capacity changed. Waits up to ``seconds`` for a change."""
        return Changes.of(await self._events.changes.since(since, seconds))

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        """The events after ``since``, each with its version, only those of ``topic`` if given.

        Waits up to ``seconds`` for an event of any topic.
        """
        return await self._events.log.since(since, seconds, topic.has if topic else None)

    async def state(self, topic: Topic) -> State:
        """The jobs of a topic at one place in the log of events. Raises as ``apply``, and for OfJob
        JobNotFound or JobExpired.

        If peers change jobs all the time, it may already have a few of the events that follow.
        """
        self.check()
        await self._ensure_totals()
        ops = _reads(topic)
        for _ in range(STATE_READS):
            at, updates = self._events.log.version, self._peer_updates
            answers, after = await self._store.read(ops)
            if updates == self._peer_updates:
                at = after
                break
            # A change of a peer may be in the log, but not in what was read.
        records: list[JobRecord] = []
        for op, answer in zip(ops, answers, strict=True):
            records += [stored(op, answer)] if isinstance(op, Get) else stored(op, answer)
        records.sort(key=lambda record: record.place, reverse=True)
        return State(at, tuple(self._snapshot(record) for record in records))

    async def deliveries(
        self, request_id: str, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        """At most ``limit`` messages for webhooks that are due; no other call gets the same ones.

        Stored messages are due again after ``lease_seconds``, unless SaveDelivery was applied
        before. A call that is repeated with its ``request_id`` gets the same stored messages. Waits
        up to ``wait_seconds`` for a message. Raises as ``apply``.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        while True:
            self.check()
            woken = self._events.to_deliver
            found: list[DeliveryRecord | ProgressDelivery] = []
            found += await self._ask(LeaseDeliveries(limit, lease_seconds, request_id))
            found += self._events.pending.take(limit - len(found))
            left = deadline - loop.time()
            if found or left <= 0:
                return found
            pause = min(left, LOOK_FOR_DELIVERIES, self._events.pending.seconds_left())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await woken.wait()

    async def stats(self) -> QueueStats:
        """Present counts and measured times. Raises as ``apply``."""
        self.check()
        counts = await self._ask(Stats())
        throughput = measured(counts, self._default_seconds)
        return QueueStats(
            counts,
            self._capacity_everywhere(),
            throughput.job_seconds,
            throughput.work_per_second,
            throughput.plan_seconds or None,
        )

    async def load(self) -> AutoscalingLoad:
        """The work for this cluster's engines now. Raises as ``apply``."""
        self.check()
        await self._ensure_totals()
        totals = self._totals
        registry = self.registry.snapshot()
        return AutoscalingLoad(
            plans=totals.plans,
            decodes=totals.decodes,
            decode_seconds=totals.decode_seconds,
            slots=registry.slots,
            replicas=Counter(registration.deployment for registration in registry.live),
            decoders={
                name: DecoderLoad(totals.decoders[name].decodes, totals.decoders[name].seconds)
                for name in self._decoders
                if name in totals.decoders
            },
        )

    def check(self) -> None:
        """Raise RuntimeError when maintenance has ended: the coordinator must be replaced."""
        self._maintenance.check()

    def _capacity(self) -> Capacity:
        """Capacity of this cluster: none while no runner lives, as replicas then get no work."""
        if not self._live.has_runner(self._clock()):
            return Capacity()
        return self.registry.snapshot().capacity()

    def _capacity_everywhere(self) -> Capacity:
        """Capacity of all clusters that share the store."""
        return total_capacity([self._capacity(), *self._live.capacity_elsewhere()])

    async def _apply(self, batch: Sequence[Op]) -> list[object]:
        answers = await self._store.apply(batch)
        for op in batch:
            if isinstance(op, KeepAlive):
                self._live.keep_alive(op.runner, self._clock() + op.ttl)
            elif isinstance(op, Deregister):
                self._live.remove_runner(op.runner)
        return answers

    async def _ask(self, op: Operation[Stored, object]) -> Stored:
        (answer,) = await self._apply([op])
        return stored(op, answer)

    async def _owned(self, attempts: list[tuple[str, int]]) -> list[tuple[str, int]]:
        if not attempts:
            return []
        ops = [IsOwner(*attempt) for attempt in attempts]
        answers = zip(ops, await self._apply(ops), strict=True)
        return [(op.job_id, op.attempt) for op, answer in answers if stored(op, answer)]

    async def _learn(self, attempts: Iterable[tuple[str, int]]) -> None:
        """Find out which of the attempts run, if it is not known. Raises StoreUnavailable."""
        unknown = {
            job_id for job_id, attempt in attempts if not self._events.knows(job_id, attempt)
        }
        ops = [Get(job_id) for job_id in unknown]
        for op, answer in zip(ops, await self._apply(ops) if ops else (), strict=True):
            if not isinstance(answer, StoreError):
                self._events.learn(stored(op, answer))

    async def _ensure_totals(self) -> None:
        """Read the backlog again if the totals are old. Raises StoreUnavailable."""
        if not 0 <= self._clock() - self._totalled_at < BACKLOG_SECONDS:
            await self._refresh_totals()

    async def _read_backlog(self) -> None:
        now = self._clock()
        unfinished, stats = Backlog(), Stats()
        answers = await self._apply([unfinished, stats])
        backlog, counts = stored(unfinished, answers[0]), stored(stats, answers[1])
        throughput = measured(counts, self._default_seconds)
        left = self._live.decode_left
        totals = partial(
            BacklogTotals,
            backlog,
            throughput,
            left,
            decoders=self._decoders,
            elsewhere=self._live.decoders_elsewhere(),
        )
        self._totals, totals_everywhere = totals(self._cluster), totals()
        self._waits = WaitEstimates(totals_everywhere, self._capacity_everywhere())
        self._totalled_at = now

    def _with_live_state(self, op: Op, answer: object) -> object:
        """A result of the first type that the operation's class declares, as the second type."""
        if isinstance(answer, StoreError):
            return answer
        match op:
            case Get() | Cancel():
                return self._snapshot(stored(op, answer))
            case ListJobs():
                return [self._snapshot(record) for record in stored(op, answer)]
        return answer

    def _snapshot(self, record: JobRecord) -> Snapshot:
        queued = record.status is Status.QUEUED
        return Snapshot(
            record=record,
            progress=self._live.progress(record),
            eta_seconds=self._waits.eta_seconds(record) if queued else None,
            expires_at=None if record.finished_at is None else record.finished_at + self._jobs.keep,
        )

    def _publish(self, changes: list[JobChange]) -> EventId:
        return self._events.publish(changes, own=True)

    def _shared_state(self) -> str:
        return self._live.shared(self._capacity(), self._planners, self._decoders).model_dump_json()

    def _update_from_peers(self, update: PeerUpdate) -> None:
        states = read_peer_states(update.states)
        self._live.set_peers(states)
        if update.changes or update.missed:
            self._peer_updates += 1
        self._events.publish(update.changes, own=False)
        if update.missed:
            self._events.miss()
        progress = [
            (job_id, attempt, one)
            for state in states
            for job_id, (attempt, one) in state.progress.items()
        ]
        self._events.report_of_peers(progress)
        unknown = any(not self._events.knows(job_id, attempt) for job_id, attempt, _ in progress)
        if unknown and (self._learning is None or self._learning.done()):
            self._learning = start_task(self._learn_of_peers(progress))

    async def _learn_of_peers(self, progress: list[tuple[str, int, Progress]]) -> None:
        with contextlib.suppress(StoreUnavailable):  # the next update comes soon
            await self._learn((job_id, attempt) for job_id, attempt, _ in progress)

    async def _drop_ended(self) -> None:
        """Remove the runners that are gone, and the progress of attempts that lost their jobs."""
        self._live.forget_lapsed(self._clock())
        kept = [*{*self._live.attempts(), *self._events.attempts()}]
        owned = set(await self._owned(kept))
        lost = [attempt for attempt in kept if attempt not in owned]
        self._events.forget(lost)
        self._live.drop(job_id for job_id, _ in lost)


def _reads(topic: Topic) -> list[Get | ListJobs]:
    """What reads the jobs of a topic that State has."""
    if isinstance(topic, OfJob):
        return [Get(topic.job_id)]
    return [
        ListJobs(status, MOST_UNFINISHED, owner=topic.owner, brief=True)
        for status in (Status.QUEUED, Status.RUNNING)
    ]
