"""Reads a body that may hold the API key (``ai_token``). Without a key nobody can send much."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from fastapi import Request

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.middleware.authentication import (
    key_is_in_body,
    limits_before_the_key,
    no_valid_key,
    require_body_key,
)
from acestep_ray.api.problems import Problem
from acestep_ray.api.request.body import Body, read_body
from acestep_ray.api.request.folder import Folder
from acestep_ray.settings import Limits

SECONDS = 60.0
"""Longest time that a body without a valid key in the headers may take."""


class HasFields(Protocol):
    """A body of any kind."""

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields as they were sent; one of them may be the key."""
        ...


BodyT = TypeVar("BodyT", bound=HasFields)


async def read_keyed(
    request: Request, context: AppContext, read: Callable[[Limits], Awaitable[BodyT]]
) -> BodyT:
    """What ``read`` returns, and the check of a key in the body. ``read`` gets the limits of the
    body, and raises Problem if it cannot be read.

    Raises Problem: 401 without a valid key, whatever else is wrong with the body.
    """
    limits = context.settings.limits
    if not key_is_in_body(request):
        return await read(limits)
    try:
        async with asyncio.timeout(SECONDS):
            body = await read(limits_before_the_key(limits))
    except (Problem, TimeoutError):
        raise no_valid_key(request) from None
    require_body_key(request, body.fields, context.settings)
    return body


async def read_keyed_body(
    request: Request, context: AppContext, folder: Folder, names: frozenset[str]
) -> Body:
    """``read_keyed`` of a body of any Content-Type with the text fields ``names``; ``folder`` gets
    its files."""
    return await read_keyed(
        request, context, lambda limits: read_body(request, limits, folder, names)
    )
