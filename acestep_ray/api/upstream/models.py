"""``GET /v1/model_inventory`` and ``POST /v1/init``: which models there are."""

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.body import read_body
from acestep_ray.api.request.coercion import real
from acestep_ray.api.request.engine_choice import NoSuchModel, choose_decoder, choose_planner
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.upstream.envelope import Envelope
from acestep_ray.api.upstream.inventory import inventory
from acestep_ray.api.upstream.lenient_fields import is_nothing
from acestep_ray.api.upstream.views import InitView, InventoryView
from acestep_ray.replicas.deployed import Deployed

router = APIRouter(tags=["upstream"])

_NAMES = frozenset({"model", "slot", "init_llm", "lm_model_path", BODY_KEY})


@router.get(
    "/v1/model_inventory",
    operation_id="model_inventory",
    summary="What is deployed? (upstream's API)",
)
async def model_inventory(response: Response, context: ContextDep) -> Envelope[InventoryView]:
    """Decoder models and language models. GET /v1/models has more about each."""
    response.headers["Cache-Control"] = "no-store"
    return Envelope(data=inventory(await context.service.deployed()))


@router.post("/v1/init", operation_id="init_model", summary="Ask for a model (upstream's API)")
async def init_model(
    request: Request, response: Response, context: ContextDep
) -> Envelope[InitView]:
    """200 if the models are deployed; otherwise 400. Models are deployed by the settings of the
    service, not by requests."""
    fields = await _fields(request, context)
    deployed = await context.service.deployed()
    try:
        loaded_model = _decoder(fields.get("model"), deployed)
        loaded_lm = _planner(fields.get("lm_model_path"), deployed)
    except NoSuchModel as error:
        raise Problem(
            ProblemCode.NOT_DEPLOYED,
            f"{error} Models are chosen by the settings of the service, and cannot be loaded by a "
            "request.",
        ) from None
    there = inventory(deployed)
    names = [name for name in (loaded_model, loaded_lm) if name]
    response.headers["Cache-Control"] = "no-store"
    return Envelope(
        data=InitView(
            message=f"Deployed: {', '.join(names)}. Nothing to load.",
            slot=_slot(fields.get("slot")),
            loaded_model=loaded_model,
            loaded_lm_model=loaded_lm or there.loaded_lm_model,
            models=there.models,
            lm_models=there.lm_models,
            llm_initialized=there.llm_initialized,
        )
    )


async def _fields(request: Request, context: AppContext) -> dict[str, object]:
    """The fields that were sent. A body may be missing."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return {}
    with request_folder() as folder:
        body = await read_body(request, context.settings.limits, folder, _NAMES)
    return {name: v for name, v in body.fields.items() if not is_nothing(name, v)}


def _decoder(asked: object, deployed: Deployed) -> str:
    """Name of the deployed decoder model that was asked for; for None, of the default one."""
    return choose_decoder(deployed, None if asked is None else str(asked), "text2music").model


def _planner(asked: object, deployed: Deployed) -> str | None:
    """Name of the deployed language model that was asked for; None if none was asked for."""
    return None if asked is None else choose_planner(deployed, str(asked), None)[1]


def _slot(sent: object) -> int:
    try:
        return int(real(sent))
    except ValueError:
        return 1
