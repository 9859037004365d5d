"""The objects that every route uses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from acestep_ray.adapters.default import DefaultAdapterFile
from acestep_ray.adapters.library import AdapterLibrary
from acestep_ray.api.repeats import Repeats
from acestep_ray.api.request.source_audio import SourceReader
from acestep_ray.api.service import JobService
from acestep_ray.api.song_writer import DirectCalls
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.planner.length_check import PlanFit
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import Tracer
from acestep_ray.webhooks.url_check import UrlCheck

if TYPE_CHECKING:
    from acestep_ray.api.routes.poll_responses import PollResponses  # a route, which needs this


@dataclass(frozen=True)
class AppContext:
    """One per app. ``sources`` limits how many client files are read at a time."""

    settings: Settings
    service: JobService
    artifacts: Artifacts
    sources: SourceReader
    plans: PlanFit
    direct: DirectCalls
    repeats: Repeats
    tracer: Tracer
    webhooks: UrlCheck
    polls: "PollResponses"
    adapters: AdapterLibrary | None
    """None: there are none."""
    default_adapter: DefaultAdapterFile

    def url(self, path: str) -> str:
        """An address for clients: absolute if the public address is known."""
        return self.settings.url(path)


async def _of(request: Request) -> AppContext:
    context = request.app.state.context
    assert isinstance(context, AppContext)
    return context


ContextDep = Annotated[AppContext, Depends(_of)]
