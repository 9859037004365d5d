"""The Studio: the page at ``/`` and its files. They hold nothing that is secret, so that a browser
gets them without the API key; the page asks for the key."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.routes.byte_range import matches
from acestep_ray.api.studio_files import StudioFile, studio_files
from acestep_ray.settings import Settings

router = APIRouter(include_in_schema=False)

_Get = partial(router.api_route, methods=["GET", "HEAD"], response_class=Response)
_ONE_YEAR = "public, max-age=31536000, immutable"
_CHECK = "no-cache"

AcceptEncoding = Annotated[str, Header()]
IfNoneMatch = Annotated[str | None, Header()]


@_Get("/")
async def page(
    context: ContextDep, accept_encoding: AcceptEncoding = "", if_none_match: IfNoneMatch = None
) -> Response:
    """The page. A browser checks at every load whether there is a new one."""
    headers = {
        "Cache-Control": _CHECK,
        "Content-Security-Policy": content_security_policy(context.settings),
        "Referrer-Policy": "no-referrer",
    }
    return _answer(studio_files().page, accept_encoding, if_none_match, headers)


@_Get("/studio/{digest}/{name:path}")
async def file(
    digest: str, name: str, accept_encoding: AcceptEncoding = "", if_none_match: IfNoneMatch = None
) -> Response:
    """A file of the page. Also under the digest of another release, for a page that was loaded
    while the service was upgraded, but then nothing may keep it."""
    studio = studio_files()
    found = studio.files.get(name)
    if found is None:
        raise Problem(ProblemCode.NOT_FOUND, "The studio has no such file.")
    headers = {"Cache-Control": _ONE_YEAR if digest == studio.digest else _CHECK}
    return _answer(found, accept_encoding, if_none_match, headers)


def content_security_policy(settings: Settings) -> str:
    """The page loads scripts, styles and data from the service only, and nothing can be written
    into it as HTML. Takes come from the object store where downloads are redirected to it."""
    studio = studio_files()
    stores = " https: http:" if settings.downloads == "redirect" else ""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {studio.script}",
            f"style-src 'self' {studio.style}",
            "img-src 'self' data:",
            f"connect-src 'self'{stores}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _answer(
    found: StudioFile, accept_encoding: str, if_none_match: str | None, headers: dict[str, str]
) -> Response:
    compressed = _accepts_gzip(accept_encoding)
    etag = f'"{found.etag}{"-gzip" if compressed else ""}"'
    headers |= {"ETag": etag, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if matches(etag, if_none_match):
        return Response(status_code=304, headers=headers)
    if compressed:
        headers["Content-Encoding"] = "gzip"
    body = found.compressed if compressed else found.body
    return Response(body, headers=headers, media_type=found.media_type)


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether a header Accept-Encoding names gzip, with a weight that is not 0."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";")
        if coding in ("gzip", "*"):
            return weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
