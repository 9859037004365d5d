"""The work that is still to be done, added up at one moment, for the ETA and for autoscaling."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.records import BacklogItem, StoreStats


@dataclass(frozen=True)
class Throughput:
    """The measured speed of jobs.

    ``job_seconds``: seconds from the start of a job to its end. ``work_per_second``: the decoder's
    work (jobs/decode_cost.py) per second of its device; None until it was measured.
    ``plan_seconds``: seconds that the plans of one job take, which are made at the same time.
    """

    job_seconds: float
    work_per_second: float | None = None
    plan_seconds: float = 0.0

    def device_seconds(self, work: float) -> float:
        """Seconds that one decoder's device is busy with ``work``; ``job_seconds`` if that is not
        known."""
        if self.work_per_second and work > 0:
            return work / self.work_per_second
        return self.job_seconds


def measured(stats: StoreStats, default: float) -> Throughput:
    """The throughput of the jobs that ended last; ``default``: ``job_seconds`` if there are none.

    ``work_per_second`` is the sum of their work divided by the sum of their seconds, so long jobs
    count for more.
    """
    work = sum(timing.work for timing in stats.recent_paces)
    seconds = sum(timing.device_seconds for timing in stats.recent_paces)
    plans = [t.plan_seconds for t in stats.recent_paces if t.plan_seconds is not None]
    return Throughput(
        job_seconds=fmean(stats.recent_seconds) if stats.recent_seconds else default,
        work_per_second=work / seconds if work > 0 and seconds > 0 else None,
        plan_seconds=fmean(plans) if plans else 0.0,
    )


class BacklogTotals:
    """Sums over the unfinished jobs of ``backlog``, which is in the order of places.

    ``left`` returns the share of a running job's decoding that is still to be done, 0 to 1. With a
    ``cluster``, jobs that another cluster has leased are not counted: its engines do that work.
    """

    def __init__(
        self,
        backlog: Sequence[BacklogItem],
        throughput: Throughput,
        left: Callable[[str], float] = lambda job_id: 1.0,
        cluster: str | None = None,
    ) -> None:
        self.throughput = throughput
        counted = [j for j in backlog if cluster is None or not j.leased or j.cluster == cluster]
        queued = [job for job in counted if job.status is Status.QUEUED]
        self._places = [job.place for job in queued]
        # _before[n]: seconds of one decoder that the first n queued jobs need.
        seconds = (throughput.device_seconds(job.work) for job in queued)
        self._before = list(accumulate(seconds, initial=0.0))
        self._running = sum(
            throughput.device_seconds(job.work) * left(job.job_id)
            for job in counted
            if job.status is Status.RUNNING
        )
        self.planned_places: dict[str, list[int]] = defaultdict(list)
        """By planner: places of the jobs whose plan is still to be made, or is being made."""
        # By planner, [n]: plans of the first n of these jobs.
        self._plans: dict[str, list[int]] = defaultdict(lambda: [0])
        for job in counted:
            if job.planner is not None:
                self.planned_places[job.planner].append(job.place)
                self._plans[job.planner].append(self._plans[job.planner][-1] + job.plans)
        self.decodes = sum(job.leased and job.planner is None for job in counted)
        """Number of jobs that are at a decoder now, or on their way to one."""

    @property
    def decode_seconds(self) -> float:
        """Seconds that one decoder would need for all jobs."""
        return self._running + self._before[-1]

    def decode_seconds_ahead(self, place: int) -> float:
        """Seconds that one decoder needs for running jobs and for queued jobs before ``place``."""
        return self._running + self._before[bisect_left(self._places, place)]

    @property
    def plans(self) -> dict[str, int]:
        """By planner: how many plans are to be made, or are being made, in all."""
        return {planner: before[-1] for planner, before in self._plans.items()}

    def jobs_to_plan_ahead(self, planner: str, place: int) -> int:
        """How many jobs before ``place`` this planner has to plan."""
        return bisect_left(self.planned_places.get(planner, ()), place)

    def plans_through(self, planner: str, place: int) -> int:
        """How many plans this planner has to make until those of the job at ``place`` are made; of
        a job that came after these totals, one."""
        places = self.planned_places.get(planner, [])
        before = self._plans[planner] if places else [0]
        at = bisect_left(places, place)
        known = at < len(places) and places[at] == place
        return before[at + 1] if known else before[at] + 1
