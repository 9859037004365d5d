"""The work that is still to be done, added up at one moment, for the ETA and for autoscaling."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import fmean

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.records import BacklogItem, JobTiming, StoreStats


@dataclass(frozen=True)
class Throughput:
    """The measured speed of jobs.

    ``job_seconds``: seconds from the start of a job to its end. ``work_per_second``: the decoder's
    work (jobs/decode_cost.py) per second of its device; None until it was measured.
    ``plan_seconds``: seconds that the plans of one job take, which are made at the same time.
    ``by_decoder``: ``work_per_second`` of each of several decoders, as far as it was measured.
    """

    job_seconds: float
    work_per_second: float | None = None
    plan_seconds: float = 0.0
    by_decoder: Mapping[str, float] = field(default_factory=dict)

    def device_seconds(self, work: float, decoder: str = "") -> float:
        """Seconds that one decoder's device is busy with ``work``; ``job_seconds`` if that is not
        known."""
        rate = self.by_decoder.get(decoder, self.work_per_second)
        return work / rate if rate and work > 0 else self.job_seconds


def measured(stats: StoreStats, default: float) -> Throughput:
    """The throughput of the jobs that ended last; ``default``: ``job_seconds`` if there are none.

    ``work_per_second`` is the sum of their work divided by the sum of their seconds, so long jobs
    count for more.
    """
    by_decoder = {
        name: _rate([timing for timing in stats.recent_paces if timing.decoder == name])
        for name in {timing.decoder for timing in stats.recent_paces if timing.decoder}
    }
    plans = [t.plan_seconds for t in stats.recent_paces if t.plan_seconds is not None]
    return Throughput(
        job_seconds=fmean(stats.recent_seconds) if stats.recent_seconds else default,
        work_per_second=_rate(stats.recent_paces),
        plan_seconds=fmean(plans) if plans else 0.0,
        by_decoder={name: rate for name, rate in by_decoder.items() if rate},
    )


def _rate(timings: Sequence[JobTiming]) -> float | None:
    work = sum(timing.work for timing in timings)
    seconds = sum(timing.device_seconds for timing in timings)
    return work / seconds if work > 0 and seconds > 0 else None


class DecodeQueue:
    """The unfinished jobs of one decoder, in the order of places."""

    def __init__(
        self,
        jobs: Sequence[BacklogItem],
        seconds_of: Callable[[BacklogItem], float],
        left: Callable[[str], float],
    ) -> None:
        queued = [job for job in jobs if job.status is Status.QUEUED]
        self._places = [job.place for job in queued]
        # _before[n]: seconds of one replica that the first n queued jobs need.
        self._before = list(accumulate(map(seconds_of, queued), initial=0.0))
        self._running = sum(
            seconds_of(job) * left(job.job_id) for job in jobs if job.status is Status.RUNNING
        )
        self.decodes = sum(job.leased and job.planner is None for job in jobs)
        """Number of jobs that are at this decoder now, or on their way to it."""

    @property
    def seconds(self) -> float:
        """Seconds that one replica would need for all jobs."""
        return self._running + self._before[-1]

    def seconds_ahead(self, place: int) -> float:
        """Seconds that one replica needs for running jobs and for queued jobs before ``place``."""
        return self._running + self._before[bisect_left(self._places, place)]


class BacklogTotals:
    """Sums over the unfinished jobs of ``backlog``, which is in the order of places.

    ``left`` returns the share of a running job's decoding that is still to be done, 0 to 1. With a
    ``cluster``, jobs that another cluster has leased are not counted: its engines do that work.
    ``decoders``: names of this cluster's decoders, if there are several; ``elsewhere``: those of
    other clusters. Jobs for none of them count for the first.
    """

    def __init__(
        self,
        backlog: Sequence[BacklogItem],
        throughput: Throughput,
        left: Callable[[str], float] = lambda job_id: 1.0,
        cluster: str | None = None,
        *,
        decoders: Sequence[str] = (),
        elsewhere: Collection[str] = (),
    ) -> None:
        self.throughput = throughput
        self._first = decoders[0] if decoders else ""
        self._names = {self._first, *decoders, *elsewhere}
        counted = [j for j in backlog if cluster is None or not j.leased or j.cluster == cluster]
        by_decoder: dict[str, list[BacklogItem]] = {name: [] for name in self._names}
        for job in counted:
            by_decoder[self.decoder_of(job.decoder)].append(job)
        self.decoders = {
            name: DecodeQueue(
                jobs, lambda job: throughput.device_seconds(job.work, job.decoder), left
            )
            for name, jobs in by_decoder.items()
        }
        """By name as of ``decoder_of``."""
        self.planned_places: dict[str, list[int]] = defaultdict(list)
        """By planner: places of the jobs whose plan is still to be made, or is being made."""
        self.planned_for: dict[tuple[str, str], list[int]] = defaultdict(list)
        """By planner and decoder: the same places."""
        # By planner, [n]: plans of the first n of these jobs.
        self._plans: dict[str, list[int]] = defaultdict(lambda: [0])
        for job in counted:
            if job.planner is not None:
                self.planned_places[job.planner].append(job.place)
                self.planned_for[job.planner, self.decoder_of(job.decoder)].append(job.place)
                self._plans[job.planner].append(self._plans[job.planner][-1] + job.plans)

    def decoder_of(self, name: str) -> str:
        """The name under which a job's decoder is counted; "" for the only one."""
        return name if name in self._names else self._first

    @property
    def decodes(self) -> int:
        """Number of jobs that are at a decoder now, or on their way to one."""
        return sum(queue.decodes for queue in self.decoders.values())

    @property
    def decode_seconds(self) -> float:
        """Seconds that one replica of each decoder would need for all jobs, added up."""
        return sum(queue.seconds for queue in self.decoders.values())

    @property
    def plans(self) -> dict[str, int]:
        """By planner: how many plans are to be made, or are being made, in all."""
        return {planner: before[-1] for planner, before in self._plans.items()}

    def plans_through(self, planner: str, place: int) -> int:
        """How many plans this planner has to make until those of the job at ``place`` are made; of
        a job that came after these totals, one."""
        places = self.planned_places.get(planner, [])
        before = self._plans[planner] if places else [0]
        at = bisect_left(places, place)
        known = at < len(places) and places[at] == place
        return before[at + 1] if known else before[at] + 1
