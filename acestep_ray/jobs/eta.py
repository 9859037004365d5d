"""How long a queued job may still wait until it is done."""

from acestep_ray.jobs.picture import Picture
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.jobs.store.protocol import JobRecord


def eta_seconds(record: JobRecord, picture: Picture, capacity: Capacity) -> float:
    """Estimated wait left of a queued job, seconds.

    The decoders share the work before it, and its own: seconds of audio × takes × steps, at the
    pace that was measured. Where it needs a plan, its own decoding begins when both its plan is
    made and the decoders come to it. Until a pace was measured: position × job_seconds / decoders,
    as the contract gives it. While no decoder is up, as for one.
    """
    speed = picture.speed
    decoders = max(1, capacity.decoders)
    if speed.pace is None:
        return record.position * speed.job_seconds / decoders
    begins = picture.decode_seconds_ahead(record.place) / decoders
    if record.needs_plan and record.plan is None:
        begins = max(begins, _planned_in(record, picture, capacity))
    return begins + speed.device_seconds(record.work) / decoders


def _planned_in(record: JobRecord, picture: Picture, capacity: Capacity) -> float:
    """Seconds until its planner, which makes as many plans at a time as it has slots, has made the
    job's plan."""
    slots = max(1, capacity.planner_slots.get(record.planner, 0))
    ahead = picture.plans_ahead(record.planner, record.place)
    return picture.speed.plan_seconds * max(1.0, (ahead + 1) / slots)
