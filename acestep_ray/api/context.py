"""What every route works with; the app holds one."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from acestep_ray.api.service import JobService
from acestep_ray.api.sources import SourceReader
from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.planner.fit import PlanFit
from acestep_ray.settings import Settings


@dataclass(frozen=True)
class Context:
    """``sources`` bounds how many client files are read at a time."""

    settings: Settings
    service: JobService
    artifacts: Artifacts
    sources: SourceReader
    plans: PlanFit

    def url(self, path: str) -> str:
        """An address for clients: absolute where the public address is known."""
        return self.settings.public_url.rstrip("/") + path


async def _of(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Here = Annotated[Context, Depends(_of)]
