"""``POST /query_result``: the state and the results of many tasks."""

import asyncio
import json

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.problems import Problem, ProblemCode, printable
from acestep_ray.api.request.aliases import TASK_LISTS
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.routes.jobs import is_job_id
from acestep_ray.api.upstream.envelope import Envelope
from acestep_ray.api.upstream.keyed_body import read_keyed_body
from acestep_ray.api.upstream.task_state import no_task, task_state
from acestep_ray.api.upstream.views import TaskStateView
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound

router = APIRouter(tags=["upstream"])

MOST_TASKS = 500
LONGEST_RESULT = 16_000_000
"""Characters of all results together: each take repeats the lyrics of its job."""
_UNKNOWN = "There is no such task."
_NAMES = (*TASK_LISTS, "task_id_list[]")


@router.post("/query_result", operation_id="query_result", summary="Look at tasks (upstream's API)")
async def query_result(
    request: Request, response: Response, context: ContextDep
) -> Envelope[list[TaskStateView]]:
    """The state of each task in ``task_id_list`` (a list, its JSON text, or the form field several
    times), in the same order; of
    a task that is listed twice, once."""
    with request_folder() as folder:
        body = await read_keyed_body(request, context, folder, frozenset({*_NAMES, BODY_KEY}))
    ids = list(dict.fromkeys(task_ids(body)))
    found = await asyncio.gather(*(_find(task_id, context) for task_id in ids))
    deployed = await context.service.deployed()
    states: list[TaskStateView] = []
    length = 0
    for task_id, one in zip(ids, found, strict=True):
        states.append(
            no_task(task_id, one)
            if isinstance(one, str)
            else task_state(task_id, one, deployed, context)
        )
        length += len(states[-1].result)
        if length > LONGEST_RESULT:
            raise Problem(
                ProblemCode.MALFORMED_BODY,
                "The results of these tasks are too long together: ask for fewer than "
                f"{len(states)} at a time.",
            )
    response.headers["Cache-Control"] = "no-store"
    return Envelope(data=states)


def task_ids(body: Body) -> list[str]:
    """The ids that were sent. Raises Problem 400."""
    value = next((body.fields[name] for name in _NAMES if body.fields.get(name)), None)
    if isinstance(value, str):
        value = _listed(value)
    if value is None:
        value = []
    if not isinstance(value, list):
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            "task_id_list must be a list of the task_ids of POST /release_task, or its JSON text.",
        )
    if len(value) > MOST_TASKS:
        raise Problem(
            ProblemCode.MALFORMED_BODY, f"task_id_list may name {MOST_TASKS} tasks at most."
        )
    return [_as_text(one) for one in value]


def _as_text(one: object) -> str:
    """An id as it is sent back. What cannot be one is an unknown task, in a text of its own."""
    if not isinstance(one, str):
        try:
            one = json.dumps(one, ensure_ascii=False)
        except RecursionError:
            one = "[…]"
    # Half a surrogate pair cannot be sent back.
    return printable(one.strip())


def _listed(text: str) -> object:
    """The value of a JSON text (a list or one id), or a list from ids with commas between them."""
    if text.lstrip()[:1] in ("[", '"', "{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return [value] if isinstance(value, str) else value
    return [one for one in text.split(",") if one.strip()]


async def _find(task_id: str, context: AppContext) -> Snapshot | str:
    """The job of that id, or why there is none."""
    if not is_job_id(task_id):
        return _UNKNOWN
    try:
        return await context.service.get(task_id.lower())
    except JobNotFound:
        return _UNKNOWN
    except JobExpired:
        return "The task was deleted, or its time is over."
