"""The ASGI application: the contract's routes over a JobService."""

from collections.abc import Collection
from copy import copy
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from acestep_ray import __version__
from acestep_ray.adapters.default import DefaultAdapterFile
from acestep_ray.adapters.library import library_of
from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.error_handlers import add_handlers
from acestep_ray.api.middleware.api_prefix import ApiPrefix
from acestep_ray.api.middleware.authentication import Authentication
from acestep_ray.api.middleware.cross_origin import add_cross_origin
from acestep_ray.api.middleware.lingering_close import LingeringClose
from acestep_ray.api.middleware.page_slash import PageSlash
from acestep_ray.api.middleware.request_context import RequestContext
from acestep_ray.api.middleware.request_metrics import RequestMetrics, Templates
from acestep_ray.api.middleware.trailing_slash import TrailingSlash
from acestep_ray.api.middleware.unhandled_errors import UnhandledErrors
from acestep_ray.api.openapi import TITLE, openapi_document
from acestep_ray.api.repeats import Repeats
from acestep_ray.api.request.source_audio import SourceReader
from acestep_ray.api.routes import ROUTERS, docs_page
from acestep_ray.api.routes.poll_responses import PollResponses
from acestep_ray.api.service import JobService
from acestep_ray.api.song_writer import DirectCalls, SongWriters
from acestep_ray.api.upstream.routers import UPSTREAM_ROUTERS
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.metrics import NO_METER, Meter
from acestep_ray.planner.length_check import PlanFit
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.webhooks.url_check import UrlCheck

ADAPTERS_PATIENCE = 10.0
"""Longest wait of a request for a bucket of adapters that is unavailable, seconds."""


def create_app(
    settings: Settings,
    service: JobService,
    artifacts: Artifacts,
    writers: SongWriters | None = None,
    meter: Meter = NO_METER,
    *,
    tracer: Tracer = NO_TRACER,
    id_is_returned: bool = False,
) -> FastAPI:
    """Build the application. Nothing runs and nothing is opened until the first request.

    ``writers``: the planners, for routes that use the language model directly; None: there is none.
    ``id_is_returned``: as in RequestContext.
    """
    app = FastAPI(
        title=TITLE, version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    routers = (*ROUTERS, *UPSTREAM_ROUTERS, docs_page.router)
    routes = [route for router in routers for route in router.routes]
    own_head = {
        route.path for route in routes if isinstance(route, APIRoute) and "HEAD" in route.methods
    }
    app.state.context = AppContext(
        settings,
        service,
        artifacts,
        SourceReader(settings),
        PlanFit(settings),
        DirectCalls(settings, service, writers, tracer),
        Repeats(settings.jobs.repeat_seconds),
        tracer,
        UrlCheck(settings.webhooks),
        PollResponses(settings),
        library_of(settings, ADAPTERS_PATIENCE),
        DefaultAdapterFile(artifacts),
    )
    # As they are: include_router would build each route anew, with its models.
    app.router.routes.extend(_with_head(route, own_head) for route in routes)
    add_handlers(app, meter)
    # The last one added is the outermost.
    app.add_middleware(Authentication, settings=settings)
    app.add_middleware(TrailingSlash)
    app.add_middleware(ApiPrefix)
    app.add_middleware(PageSlash)
    app.add_middleware(UnhandledErrors)
    add_cross_origin(app, settings)
    app.add_middleware(LingeringClose)
    app.add_middleware(RequestMetrics, meter=meter, routes=lambda: app.routes)
    app.add_middleware(
        RequestContext,
        tracer=tracer,
        route=Templates(app.routes).of,
        id_is_returned=id_is_returned,
    )

    def document() -> dict[str, Any]:
        return openapi_document(settings)

    app.openapi = document  # type: ignore[method-assign]
    return app


def _with_head(route: BaseRoute, own_head: Collection[str]) -> BaseRoute:
    """The route, which accepts HEAD if it accepts GET, unless another route has HEAD of that path.

    Starlette's own GET routes accept HEAD too, FastAPI's do not. The server leaves out the body.
    """
    if not isinstance(route, APIRoute) or "GET" not in route.methods or route.path in own_head:
        return route
    route = copy(route)  # the routers' own serve other applications of this process, too
    route.methods = {*route.methods, "HEAD"}
    return route
