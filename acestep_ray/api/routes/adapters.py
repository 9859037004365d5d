"""``GET /v1/adapters``: the adapters that requests may use."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.replicas.decoders import takes_adapter

router = APIRouter(tags=["service"])


class AdapterView(BaseModel):
    """A LoRA or LoKr adapter."""

    name: str = Field(description="For adapters.", examples=["lo-fi-guitar"])
    kind: str | None = Field(
        description="lora or lokr; null if its file cannot be read.", examples=["lora"]
    )
    rank: int | None = Field(
        description="Of its largest matrices; null if it has none of lower rank.", examples=[8]
    )
    bytes: int = Field(description="Size of its weights.", examples=[18_900_000])
    models: list[str] = Field(
        description="Deployed decoder models that it can be used with.",
        examples=[["acestep-v15-turbo"]],
    )
    problem: str | None = Field(
        description="Why it cannot be used; null if it can.",
        examples=[None, "cannot be used: old.safetensors is no safetensors file"],
    )


class AdaptersView(BaseModel):
    """What there is."""

    adapters: list[AdapterView] = Field(description="By name.")
    default: str | None = Field(
        description="That of jobs whose request does not say which (null if there is none).",
        examples=["lo-fi-guitar"],
    )
    default_scale: float | None = Field(description="Its scale.", examples=[0.8])


@router.get("/v1/adapters", operation_id="adapters", summary="Adapters that requests may use")
async def adapters(response: Response, context: ContextDep) -> AdaptersView:
    """LoRA and LoKr adapters in the folder, or the bucket, that ACESTEP_ADAPTERS names; empty if it
    is not set. New ones are there without a restart."""
    response.headers["Cache-Control"] = "no-store"
    if context.adapters is None:
        return AdaptersView(adapters=[], default=None, default_scale=None)
    used = (await context.default_adapter.get()).used
    decoders = [one for one in (await context.service.deployed()).decoders if one.adapters]
    return AdaptersView(
        adapters=[
            AdapterView(
                name=one.name,
                kind=one.kind,
                rank=one.rank,
                bytes=one.weights.bytes,
                models=list(
                    dict.fromkeys(
                        d.model
                        for d in decoders
                        if one.fits(d.width) and takes_adapter(d, one.name)
                    )
                ),
                problem=one.problem or None,
            )
            for one in (await context.adapters.all()).values()
        ],
        default=used.name if used else None,
        default_scale=used.scale if used else None,
    )
