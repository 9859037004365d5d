"""Estimates how long a queued job will wait until it is done."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate

from acestep_ray.jobs.coordinator.backlog import BacklogTotals
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.replicas.capacity import Capacity


class WaitEstimates:
    """Waiting times of queued jobs, from the totals and the ``capacity`` of one moment.

    The decoders share the work before a job, and its own work: seconds of audio × takes × steps, at
    the measured throughput. If the job needs a plan, its decoding begins when its plan is made and
    the decoders have done the work before it. Until a throughput was measured, the wait is
    position × job_seconds / decoders, as the API documents it. Without a decoder, the wait is
    computed for one decoder. Several decoder models share nothing: each has its own jobs and its
    own replicas.
    """

    def __init__(self, totals: BacklogTotals, capacity: Capacity) -> None:
        self._totals = totals
        self._capacity = capacity
        self._slots: Mapping[str, int] = capacity.planner_slots
        # [planner, decoder][n]: seconds that the decoder waits for the plans of the first n of the
        # planner's jobs for it.
        self._idle = {
            (planner, decoder): list(accumulate(self._gaps(planner, decoder), max, initial=0.0))
            for planner, decoder in totals.planned_for
        }

    def eta_seconds(self, record: JobRecord) -> float:
        """Estimated wait left of a queued job, seconds.

        From the same totals, a job never waits longer than a later job of the same planner and
        decoder. The same holds for two jobs without a plan.
        """
        throughput, decoder = self._totals.throughput, self._totals.decoder_of(record.decoder)
        if throughput.work_per_second is None:
            return record.position * throughput.job_seconds / self._replicas(decoder)
        begins = self._free_in(decoder, record.place)
        if record.plan_pending:
            queue = record.planner, decoder
            ahead = bisect_left(self._totals.planned_for.get(queue, ()), record.place)
            idle = self._idle.get(queue, [0.0])[ahead]
            begins = max(begins + idle, self._planned_in(record.planner, record.place))
        own = throughput.device_seconds(record.work, record.decoder)
        return begins + own / self._replicas(decoder)

    def _replicas(self, decoder: str) -> int:
        """Replicas of a decoder, "" for the only one; at least 1."""
        known = self._capacity
        return max(1, known.decoder_replicas.get(decoder, 0) if decoder else known.decoders)

    def _free_in(self, decoder: str, place: int) -> float:
        """Seconds until the decoder has done all its work before ``place``."""
        return self._totals.decoders[decoder].seconds_ahead(place) / self._replicas(decoder)

    def _planned_in(self, planner: str, place: int) -> float:
        """Seconds until the job at ``place`` is planned. The planner makes as many plans at a time
        as it has slots; a job may have several."""
        plans = self._totals.plans_through(planner, place)
        rounds = plans / max(1, self._slots.get(planner, 0))
        return self._totals.throughput.plan_seconds * max(1.0, rounds)

    def _gaps(self, planner: str, decoder: str) -> list[float]:
        return [
            self._planned_in(planner, place) - self._free_in(decoder, place)
            for place in self._totals.planned_for[planner, decoder]
        ]
