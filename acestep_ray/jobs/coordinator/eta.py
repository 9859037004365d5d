"""Estimates how long a queued job will wait until it is done."""

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
    computed for one decoder.
    """

    def __init__(self, totals: BacklogTotals, capacity: Capacity) -> None:
        self._totals = totals
        self._decoders = max(1, capacity.decoders)
        self._slots: Mapping[str, int] = capacity.planner_slots
        # [planner][n]: seconds that decoders wait for the plans of the planner's first n jobs.
        self._idle = {
            planner: list(accumulate(self._gaps(planner, places), max, initial=0.0))
            for planner, places in totals.planned_places.items()
        }

    def eta_seconds(self, record: JobRecord) -> float:
        """Estimated wait left of a queued job, seconds.

        From the same totals, a job never waits longer than a later job of the same planner. The
        same holds for two jobs without a plan.
        """
        throughput = self._totals.throughput
        if throughput.work_per_second is None:
            return record.position * throughput.job_seconds / self._decoders
        begins = self._decoders_free_in(record.place)
        if record.plan_pending:
            ahead = self._totals.jobs_to_plan_ahead(record.planner, record.place)
            idle = self._idle.get(record.planner, [0.0])[ahead]
            begins = max(begins + idle, self._planned_in(record.planner, record.place))
        return begins + throughput.device_seconds(record.work) / self._decoders

    def _decoders_free_in(self, place: int) -> float:
        """Seconds until the decoders have done all work before ``place``."""
        return self._totals.decode_seconds_ahead(place) / self._decoders

    def _planned_in(self, planner: str, place: int) -> float:
        """Seconds until the job at ``place`` is planned. The planner makes as many plans at a time
        as it has slots; a job may have several."""
        plans = self._totals.plans_through(planner, place)
        rounds = plans / max(1, self._slots.get(planner, 0))
        return self._totals.throughput.plan_seconds * max(1.0, rounds)

    def _gaps(self, planner: str, places: list[int]) -> list[float]:
        return [
            self._planned_in(planner, place) - self._decoders_free_in(place) for place in places
        ]
