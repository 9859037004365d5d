"""Reads a body that may hold the API key (``ai_token``). Without a key nobody can send much."""

import asyncio
from pathlib import Path

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

SECONDS = 60.0
"""Longest time that a body without a valid key in the headers may take."""


async def read_keyed_body(
    request: Request, context: AppContext, folder: Path, names: frozenset[str]
) -> Body:
    """``read_body`` with the text fields ``names``, and the check of a key in the body.

    Raises Problem: 401 without a valid key, whatever else is wrong with the body.
    """
    limits = context.settings.limits
    if not key_is_in_body(request):
        return await read_body(request, limits, folder, names)
    try:
        async with asyncio.timeout(SECONDS):
            body = await read_body(request, limits_before_the_key(limits), folder, names)
    except (Problem, TimeoutError):
        raise no_valid_key(request) from None
    require_body_key(request, body.fields, context.settings)
    return body
