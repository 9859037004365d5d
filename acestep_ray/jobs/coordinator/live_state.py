"""What is kept in memory only: progress of jobs, live runners, and the states of peers."""

from collections.abc import Iterable

from acestep_ray.jobs.coordinator.peers import PeerState
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.progress_spans import decode_left
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.replicas.capacity import Capacity


class LiveState:
    """Progress by job and attempt, runners, and peers. ``now`` and ``until`` are epoch seconds."""

    def __init__(self) -> None:
        self._progress: dict[str, tuple[int, Progress]] = {}
        self._alive_until: dict[str, float] = {}
        self._peers: tuple[PeerState, ...] = ()  # other coordinators on the same store

    def knows(self, job_id: str, attempt: int) -> bool:
        """Whether this attempt has reported before."""
        return job_id in self._progress and self._progress[job_id][0] == attempt

    def note(self, job_id: str, attempt: int, progress: Progress) -> None:
        """Keep the progress of an attempt that has its job."""
        self._progress[job_id] = (attempt, progress)

    def attempts(self) -> list[tuple[str, int]]:
        """Every (job, attempt) whose progress is kept."""
        return [(job_id, attempt) for job_id, (attempt, _) in self._progress.items()]

    def progress(self, record: JobRecord) -> Progress | None:
        """How far a running job is, as far as its present attempt has reported it."""
        for known in (self._progress, *(peer.progress for peer in self._peers)):
            attempt, progress = known.get(record.job_id, (None, None))
            if record.status is Status.RUNNING and attempt == record.attempt:
                return progress
        return None

    def decode_left(self, job_id: str) -> float:
        """Share of a running job's decoding that is still to be done, 0 to 1."""
        for known in (self._progress, *(peer.progress for peer in self._peers)):
            if job_id in known:
                return decode_left(known[job_id][1])
        return 1.0

    def drop(self, job_ids: Iterable[str]) -> None:
        """Remove the progress of jobs that no longer run."""
        for job_id in job_ids:
            self._progress.pop(job_id, None)

    def keep_alive(self, runner: str, until: float) -> None:
        """Keep that a runner lives at least until ``until``."""
        self._alive_until[runner] = max(until, self._alive_until.get(runner, until))

    def forget_lapsed(self, now: float) -> None:
        """Remove the runners whose ``until`` has passed."""
        for runner in [runner for runner, until in self._alive_until.items() if until < now]:
            self.remove_runner(runner)

    def remove_runner(self, runner: str) -> None:
        """Remove a runner."""
        self._alive_until.pop(runner, None)

    def set_peers(self, peers: tuple[PeerState, ...]) -> None:
        """Keep what the other coordinators share now."""
        self._peers = peers

    def shared(
        self, capacity: Capacity, planners: Iterable[str], decoders: Iterable[str]
    ) -> PeerState:
        """What this coordinator shares; ``planners``, ``decoders``: as of PeerState."""
        return PeerState(
            capacity=capacity,
            planners=frozenset(planners),
            decoders=frozenset(decoders),
            progress=dict(self._progress),
        )

    def planners_elsewhere(self) -> frozenset[str]:
        """Planners that runners of other clusters lease for."""
        return frozenset[str]().union(*(peer.planners for peer in self._peers))

    def decoders_elsewhere(self) -> frozenset[str]:
        """Decoders that runners of other clusters lease for."""
        return frozenset[str]().union(*(peer.decoders for peer in self._peers))

    def capacity_elsewhere(self) -> list[Capacity]:
        """Capacities of the other clusters that share the store."""
        return [peer.capacity for peer in self._peers]

    def has_runner(self, now: float) -> bool:
        """Whether a runner of this cluster lives: without one its replicas get no work."""
        self.forget_lapsed(now)
        return bool(self._alive_until)
