"""What runners report and nobody needs on disk: how far jobs are, and what is deployed."""

from collections.abc import Iterable

from acestep_ray.jobs.board import Board, together
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.jobs.stages import decode_left
from acestep_ray.jobs.store.protocol import JobRecord


class Reports:
    """Progress by job and attempt, capacity by runner. ``now`` is always given."""

    def __init__(self) -> None:
        self._progress: dict[str, tuple[int, Progress]] = {}
        self._capacity: dict[str, Capacity] = {}
        self._alive_until: dict[str, float] = {}
        self._boards: tuple[Board, ...] = ()  # of the other desks on the same store

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
        """How far a running job is, if its own attempt has said so."""
        for known in (self._progress, *(board.progress for board in self._boards)):
            attempt, progress = known.get(record.job_id, (None, None))
            if record.status is Status.RUNNING and attempt == record.attempt:
                return progress
        return None

    def decode_left(self, job_id: str) -> float:
        """Share of a running job's decoding that is still to do, 0 to 1."""
        for known in (self._progress, *(board.progress for board in self._boards)):
            if job_id in known:
                return decode_left(known[job_id][1])
        return 1.0

    def drop(self, job_ids: Iterable[str]) -> None:
        """Forget the progress of jobs that no longer run."""
        for job_id in job_ids:
            self._progress.pop(job_id, None)

    def keep_alive(self, runner: str, until: float) -> None:
        """Count a runner's capacity at least until then."""
        self._alive_until[runner] = max(until, self._alive_until.get(runner, until))

    def note_capacity(self, runner: str, capacity: Capacity) -> None:
        """Keep what a runner sees."""
        self._capacity[runner] = capacity

    def forget_lapsed(self, now: float) -> None:
        """Forget the runners that have not been heard for too long."""
        for runner in [runner for runner, until in self._alive_until.items() if until < now]:
            self.goodbye(runner)

    def goodbye(self, runner: str) -> None:
        """Forget a runner."""
        self._alive_until.pop(runner, None)
        self._capacity.pop(runner, None)

    def hear(self, boards: tuple[Board, ...]) -> None:
        """Keep what the other desks show now."""
        self._boards = boards

    def board(self, planners: frozenset[str], now: float) -> Board:
        """What this desk shows them; ``planners``: that its runners lease for."""
        return Board(capacity=self.capacity(now), planners=planners, progress=dict(self._progress))

    def planners_elsewhere(self) -> frozenset[str]:
        """Planners that runners of other desks lease for."""
        return frozenset[str]().union(*(board.planners for board in self._boards))

    def capacity_everywhere(self, now: float) -> Capacity:
        """What is deployed on all clusters that share the store."""
        return together([self.capacity(now), *(board.capacity for board in self._boards)])

    def capacity(self, now: float) -> Capacity:
        """What is deployed here. Every live runner sees all of it, a new one perhaps not yet, so
        each figure is the largest that any of them saw last."""
        self.forget_lapsed(now)
        seen = list(self._capacity.values())
        names = {name for capacity in seen for name in capacity.planner_slots}
        return Capacity(
            planners=max((c.planners for c in seen), default=0),
            decoders=max((c.decoders for c in seen), default=0),
            plan_slots=max((c.plan_slots for c in seen), default=0),
            decode_slots=max((c.decode_slots for c in seen), default=0),
            planner_slots={
                name: max(c.planner_slots.get(name, 0) for c in seen) for name in sorted(names)
            },
        )
