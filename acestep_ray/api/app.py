"""The ASGI application: the contract's routes over a JobService."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from acestep_ray import __version__
from acestep_ray.api.auth import Authentication
from acestep_ray.api.context import Context
from acestep_ray.api.failures import UnforeseenErrors
from acestep_ray.api.handlers import add_handlers
from acestep_ray.api.lingering import LingeringClose
from acestep_ray.api.openapi import ROUTERS, TITLE, openapi_document
from acestep_ray.api.service import JobService
from acestep_ray.api.sources import SourceReader
from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.planner.fit import PlanFit
from acestep_ray.settings import Settings


def create_app(settings: Settings, service: JobService, artifacts: Artifacts) -> FastAPI:
    """Build the application. Nothing runs and nothing is opened until the first request."""
    app = FastAPI(title=TITLE, version=__version__, redoc_url=None, redirect_slashes=False)
    own_head = {
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "HEAD" in route.methods
    }
    app.state.context = Context(
        settings, service, artifacts, SourceReader(settings), PlanFit(settings)
    )
    for router in ROUTERS:
        app.include_router(router)
    for route in app.routes:
        # Starlette's own routes answer HEAD where they answer GET, FastAPI's do not. The server
        # leaves the body out.
        if isinstance(route, APIRoute) and "GET" in route.methods and route.path not in own_head:
            route.methods.add("HEAD")
    add_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(Authentication, settings=settings)
    app.add_middleware(UnforeseenErrors)
    app.add_middleware(LingeringClose)

    def document() -> dict[str, Any]:
        return openapi_document(settings)

    app.openapi = document  # type: ignore[method-assign]
    return app
