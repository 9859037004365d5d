"""How long a queued job may still wait until it is done."""

from collections.abc import Mapping
from itertools import accumulate

from acestep_ray.jobs.picture import Picture
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.jobs.store.protocol import JobRecord


class Waits:
    """The waits in one picture, with the ``capacity`` that there was.

    The decoders share the work before a job, and its own: seconds of audio × takes × steps, at the
    pace that was measured. Where it needs a plan, its decoding begins when both its plan is made
    and the decoders come to it. Until a pace was measured: position × job_seconds / decoders, as
    the contract gives it. While no decoder is up, as for one.
    """

    def __init__(self, picture: Picture, capacity: Capacity) -> None:
        self._picture = picture
        self._decoders = max(1, capacity.decoders)
        self._slots: Mapping[str, int] = capacity.planner_slots
        # By planner and number of its plans that are before: how long decoders wait for them.
        self._idle = {
            planner: list(accumulate(self._gaps(planner, places), max, initial=0.0))
            for planner, places in picture.planned_places.items()
        }

    def eta_seconds(self, record: JobRecord) -> float:
        """Estimated wait left of a queued job, seconds. In one picture, a job that stands before
        another of its planner (or, like it, needs no plan) never waits longer."""
        speed = self._picture.speed
        if speed.pace is None:
            return record.position * speed.job_seconds / self._decoders
        begins = self._decoders_come(record.place)
        if record.needs_plan and record.plan is None:
            ahead = self._picture.plans_ahead(record.planner, record.place)
            idle = self._idle.get(record.planner, [0.0])[ahead]
            begins = max(begins + idle, self._planned_in(record.planner, ahead))
        return begins + speed.device_seconds(record.work) / self._decoders

    def _decoders_come(self, place: int) -> float:
        return self._picture.decode_seconds_ahead(place) / self._decoders

    def _planned_in(self, planner: str, ahead: int) -> float:
        """Seconds until a plan is made that has ``ahead`` before it; the planner makes as many at a
        time as it has slots."""
        rounds = (ahead + 1) / max(1, self._slots.get(planner, 0))
        return self._picture.speed.plan_seconds * max(1.0, rounds)

    def _gaps(self, planner: str, places: list[int]) -> list[float]:
        return [
            self._planned_in(planner, ahead) - self._decoders_come(place)
            for ahead, place in enumerate(places)
        ]
