"""The ASGI application: the contract's routes over a JobService."""

from typing import Any

from fastapi import FastAPI

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
from acestep_ray.settings import Settings


def create_app(settings: Settings, service: JobService, artifacts: Artifacts) -> FastAPI:
    """Build the application. Nothing runs and nothing is opened until the first request."""
    app = FastAPI(title=TITLE, version=__version__, redoc_url=None, redirect_slashes=False)
    app.state.context = Context(settings, service, artifacts, SourceReader(settings))
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(Authentication, settings=settings)
    app.add_middleware(UnforeseenErrors)
    app.add_middleware(LingeringClose)

    def document() -> dict[str, Any]:
        return openapi_document(settings)

    app.openapi = document  # type: ignore[method-assign]
    return app
