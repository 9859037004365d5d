"""The header Idempotency-Key."""

import re
from typing import Annotated

from fastapi import Header

from acestep_ray.api.problems import Problem, ProblemCode

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Names this request: the same key with the same request answers the first "
        "job again, with another request it is a 422. Kept for a day.",
        examples=["b4d2f0c6"],
    ),
]

_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")


def check_key(key: str | None) -> None:
    """Raise Problem 422 if a key was sent that is not legal."""
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(
            ProblemCode.INVALID_IDEMPOTENCY_KEY,
            "Idempotency-Key must be 1 to 255 printable ASCII characters.",
        )
