"""The planner's cost of a job: the plans that it makes at the same time."""

from acestep_ray.jobs.engine_requests import plan_request
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.engines import PLANNER_ENGINES
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings


def plan_slots(spec: JobSpec, settings: Settings) -> int:
    """How many slots of its planner a job takes while it is planned.

    One for each sequence of audio codes, but at most those of one replica, which then writes some
    of them later. With an engine that takes one job at a time: 1.
    """
    if spec.plan is None or spec.plan.infer_type == "dit":
        return 1
    deployed = next((one for one in planners_of(settings) if one.name == spec.plan.planner), None)
    engine = deployed.settings.planner if deployed else spec.plan.backend
    if engine is None or not PLANNER_ENGINES[engine].slot_per_plan:
        return 1
    plans = len(plan_request("", 0, spec, settings).code_seeds)
    return min(plans, deployed.plans_at_once) if deployed else plans
