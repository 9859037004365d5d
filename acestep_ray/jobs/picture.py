"""A picture of all that is to be done, taken at one moment: the ETA and autoscaling read it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.protocol import StoreStats, Unfinished


@dataclass(frozen=True)
class Speed:
    """How fast jobs are done, as measured.

    ``job_seconds``: start to end of a job. ``pace``: the decoder's work (see jobs/work.py) a second
    of its device; None while nobody has measured it. ``plan_seconds``: what one plan takes.
    """

    job_seconds: float
    pace: float | None = None
    plan_seconds: float = 0.0

    def device_seconds(self, work: float) -> float:
        """How long one decoder's device is busy with ``work``; where that cannot be told, as long
        as a job takes."""
        return work / self.pace if self.pace and work > 0 else self.job_seconds


def measured(stats: StoreStats, default: float) -> Speed:
    """The speed of the jobs that ended lately; ``default`` is ``job_seconds`` while there are none.

    Long jobs count for more: the pace is all their work over all their seconds.
    """
    work = sum(pace.work for pace in stats.recent_paces)
    seconds = sum(pace.device_seconds for pace in stats.recent_paces)
    plans = [p.plan_seconds for p in stats.recent_paces if p.plan_seconds is not None]
    return Speed(
        job_seconds=fmean(stats.recent_seconds) if stats.recent_seconds else default,
        pace=work / seconds if work > 0 and seconds > 0 else None,
        plan_seconds=fmean(plans) if plans else 0.0,
    )


class Picture:
    """Sums over the unfinished jobs of ``backlog``, which is in the order of places.

    ``left`` answers which share of a running job's decoding is still to do, 0 to 1. With a
    ``cluster``, jobs that another one has leased are left out: they are its engines' affair.
    """

    def __init__(
        self,
        backlog: Sequence[Unfinished],
        speed: Speed,
        left: Callable[[str], float] = lambda job_id: 1.0,
        cluster: str | None = None,
    ) -> None:
        self.speed = speed
        ours = [j for j in backlog if cluster is None or not j.leased or j.cluster == cluster]
        queued = [job for job in ours if job.status is Status.QUEUED]
        self._places = [job.place for job in queued]
        # _before[n]: seconds of one decoder that the first n queued jobs ask for.
        seconds = (speed.device_seconds(job.work) for job in queued)
        self._before = list(accumulate(seconds, initial=0.0))
        self._running = sum(
            speed.device_seconds(job.work) * left(job.job_id)
            for job in ours
            if job.status is Status.RUNNING
        )
        self.planned_places: dict[str, list[int]] = defaultdict(list)
        """Places of the jobs whose plan is to be made or in the making, by planner."""
        for job in ours:
            if job.planner is not None:
                self.planned_places[job.planner].append(job.place)
        self.decodes = sum(job.leased and job.planner is None for job in ours)
        """Jobs that are at a decoder now, or on their way to one."""

    @property
    def decode_seconds(self) -> float:
        """What all jobs still ask of one decoder, seconds."""
        return self._running + self._before[-1]

    def decode_seconds_ahead(self, place: int) -> float:
        """What the running jobs, and the queued ones before ``place``, still ask of one decoder."""
        return self._running + self._before[bisect_left(self._places, place)]

    def plans_ahead(self, planner: str, place: int) -> int:
        """How many jobs before ``place`` this planner has to plan."""
        return bisect_left(self.planned_places.get(planner, ()), place)
