"""The page /docs: Swagger UI, whose files come from a package, so that it needs no other host.

It is open also on a service with an API key, which is entered with its button Authorize.
"""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from acestep_ray.api.problems import Problem, ProblemCode

router = APIRouter()
"""Not one of ROUTERS: the OpenAPI document does not describe the page that shows it."""

SCRIPT, STYLE, ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"
_TYPES = {SCRIPT: "text/javascript", STYLE: "text/css", ICON: "image/png"}
_PARAMETERS = {
    "validatorUrl": None,  # its default is another host
    "displayRequestDuration": True,
    "filter": True,
    "persistAuthorization": False,  # it would keep the key in the browser without a question
}


@router.get("/docs")
async def docs_page() -> HTMLResponse:
    """The page. Its addresses are relative, so that it works below any path."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="acestep-ray",
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url=f"docs/{ICON}",
        swagger_ui_parameters=_PARAMETERS,
    )


@router.get("/docs/{name}")
async def docs_file(name: str) -> FileResponse:
    """A file of the page. Raises Problem 404 for any other name."""
    if name not in _TYPES:
        raise Problem(ProblemCode.NOT_FOUND, f"There is no file {name} of /docs.")
    folder = Path(str(resources.files("fastapi_swagger") / "resources"))
    headers = {"Cache-Control": "public, max-age=86400"}
    return FileResponse(folder / name, media_type=_TYPES[name], headers=headers)
