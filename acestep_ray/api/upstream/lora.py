"""Upstream's routes for adapters: there one is loaded for the whole server. Here they set the
default adapter, that of jobs whose request does not name any."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from acestep_ray.adapters.default import DefaultAdapter, LoadedAdapter
from acestep_ray.adapters.library import Adapter, name_of_path
from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.problems import FieldError, invalid_values
from acestep_ray.api.request.body import read_body
from acestep_ray.api.request.coercion import flag, real, text
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.upstream.envelope import Envelope

router = APIRouter(tags=["upstream"])

_NAMES = frozenset({"lora_path", "adapter_name", "use_lora", "scale", BODY_KEY})


class LoraView(BaseModel):
    """The default adapter, as upstream's clients read it."""

    message: str = Field(description="What was done.", examples=["Loaded lo-fi-guitar."])
    lora_loaded: bool = Field(description="Whether one is loaded.", examples=[True])
    use_lora: bool = Field(description="Whether jobs use it.", examples=[True])
    lora_scale: float = Field(description="Its scale.", examples=[0.8])
    adapter_type: str | None = Field(description="lora or lokr.", examples=["lora"])
    adapters: list[str] = Field(description="All that are loaded.", examples=[["lo-fi-guitar"]])
    active_adapter: str | None = Field(
        description="The one that jobs use.", examples=["lo-fi-guitar"]
    )
    scales: dict[str, float] = Field(
        description="The scale of each.", examples=[{"lo-fi-guitar": 0.8}]
    )


@router.get("/v1/lora/status", operation_id="lora_status", summary="Default adapter (upstream)")
async def status(response: Response, context: ContextDep) -> Envelope[LoraView]:
    """Which adapter jobs use whose request names none. GET /v1/adapters lists all there are."""
    response.headers["Cache-Control"] = "no-store"
    return Envelope(data=await _view(context, await context.default_adapter.get(), ""))


@router.post("/v1/lora/load", operation_id="lora_load", summary="Set it (upstream's API)")
async def load(request: Request, response: Response, context: ContextDep) -> Envelope[LoraView]:
    """Let jobs use an adapter if their request names none. ``lora_path``: its name in GET
    /v1/adapters, or a path that ends in it; ``adapter_name``: how it is called from now on."""
    fields = await _fields(request, context)
    path = _text(fields, "lora_path")
    known = await context.adapters.all() if context.adapters else {}
    adapter = _found(path, known, context.settings.adapters)
    alias = _text(fields, "adapter_name", optional=True) or adapter.name

    def change(state: DefaultAdapter) -> DefaultAdapter:
        loaded = {**state.loaded, alias: LoadedAdapter(name=adapter.name)}
        return DefaultAdapter(loaded=loaded, active=alias, enabled=True)

    return await _changed(context, response, change, f"Loaded {adapter.name}.")


@router.post("/v1/lora/unload", operation_id="lora_unload", summary="Remove it (upstream's API)")
async def unload(request: Request, response: Response, context: ContextDep) -> Envelope[LoraView]:
    """Let jobs whose request names no adapter use none."""
    await _fields(request, context)
    return await _changed(context, response, lambda _: DefaultAdapter(), "Unloaded.")


@router.post("/v1/lora/toggle", operation_id="lora_toggle", summary="Turn it on or off (upstream)")
async def toggle(request: Request, response: Response, context: ContextDep) -> Envelope[LoraView]:
    """``use_lora``: whether such jobs use it. Its scale is kept meanwhile."""
    fields = await _fields(request, context)
    try:
        enabled = flag(fields.get("use_lora"))
    except ValueError:
        raise _refused("use_lora", "true or false", fields) from None

    def change(state: DefaultAdapter) -> DefaultAdapter:
        _require_loaded(state)
        return state.model_copy(update={"enabled": enabled})

    return await _changed(context, response, change, f"Turned {'on' if enabled else 'off'}.")


@router.post("/v1/lora/scale", operation_id="lora_scale", summary="Set its scale (upstream's API)")
async def scale(request: Request, response: Response, context: ContextDep) -> Envelope[LoraView]:
    """``scale``: from 0 to 1; ``adapter_name``: of which, and which is used from now on."""
    fields = await _fields(request, context)
    try:
        value = real(fields.get("scale"))
    except ValueError:
        raise _refused("scale", "a number from 0 to 1", fields) from None
    if not 0 <= value <= 1:
        raise _refused("scale", "a number from 0 to 1", fields)
    wanted = _text(fields, "adapter_name", optional=True)

    def change(state: DefaultAdapter) -> DefaultAdapter:
        _require_loaded(state)
        alias = wanted or state.active
        if alias not in state.loaded:
            raise _refused("adapter_name", f"one of {', '.join(state.loaded)}", fields)
        loaded = {**state.loaded, alias: LoadedAdapter(name=state.loaded[alias].name, scale=value)}
        return DefaultAdapter(loaded=loaded, active=alias, enabled=state.enabled)

    return await _changed(context, response, change, f"The scale is {value:g}.")


async def _fields(request: Request, context: AppContext) -> Mapping[str, Any]:
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return {}
    with request_folder() as folder:
        return (await read_body(request, context.settings.limits, folder, _NAMES)).fields


async def _changed(
    context: AppContext,
    response: Response,
    change: Callable[[DefaultAdapter], DefaultAdapter],
    message: str,
) -> Envelope[LoraView]:
    state = await context.default_adapter.change(change)
    response.headers["Cache-Control"] = "no-store"
    return Envelope(data=await _view(context, state, message))


async def _view(context: AppContext, state: DefaultAdapter, message: str) -> LoraView:
    known = await context.adapters.all() if context.adapters else {}
    active = state.loaded.get(state.active)
    adapter = known.get(active.name) if active else None
    return LoraView(
        message=message,
        lora_loaded=bool(state.loaded),
        use_lora=state.used is not None,
        lora_scale=active.scale if active else 1.0,
        adapter_type=adapter.kind if adapter else None,
        adapters=list(state.loaded),
        active_adapter=state.active or None,
        scales={alias: one.scale for alias, one in state.loaded.items()},
    )


def _found(path: str, known: Mapping[str, Adapter], folder: str) -> Adapter:
    """The adapter that a path of upstream's client means. Raises Problem 422."""
    name = name_of_path(path, folder, known)
    adapter = known.get(name)
    if adapter is None:
        names = [one.name for one in known.values() if not one.problem]
        legal = f"one of {', '.join(names)}" if names else "none: the service has no adapters"
        raise _refused("lora_path", legal, {"lora_path": path})
    if adapter.problem:
        detail = f"The adapter {adapter.name} {adapter.problem}."
        raise invalid_values([FieldError("lora_path", detail)])
    return adapter


def _require_loaded(state: DefaultAdapter) -> None:
    if not state.loaded:
        detail = "No adapter is loaded: POST /v1/lora/load does that."
        raise invalid_values([FieldError("lora_path", detail)])


def _text(fields: Mapping[str, Any], name: str, *, optional: bool = False) -> str:
    value = fields.get(name)
    if value is None and optional:
        return ""
    try:
        found = text(value).strip()
    except ValueError:
        raise _refused(name, "text", fields) from None
    if not found and not optional:
        raise _refused(name, "the name of an adapter", fields)
    return found


def _refused(name: str, legal: str, fields: Mapping[str, Any]) -> Exception:
    got = fields.get(name)
    shown = "nothing" if got is None else repr(got)[:100]
    return invalid_values([FieldError(name, f"{name} must be {legal}; got {shown}.", legal)])
