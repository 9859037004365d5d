"""The form of upstream's responses: ``{data, code, error, timestamp, extra}``."""

import time
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


def _now() -> int:
    return int(time.time() * 1000)


class EnvelopeFields(BaseModel):
    """What stands around ``data``."""

    code: int = Field(200, description="The HTTP status, for upstream's clients.", examples=[200])
    error: str | None = Field(
        None,
        description="null: an error is a problem with an HTTP status.",
        examples=[None, "The queue is full; try again later."],
    )
    timestamp: int = Field(
        default_factory=_now,
        description="When the response was made, epoch milliseconds.",
        examples=[1700000000000],
    )
    extra: dict[str, Any] | None = Field(
        None, description="Always null; upstream has it.", examples=[None, {}]
    )


class Envelope(EnvelopeFields, Generic[T]):
    """A response of upstream's API."""

    data: T = Field(description="What was asked for.")


class LateEnvelope(EnvelopeFields, Generic[T]):
    """A response that may be an error with HTTP status 200: upstream's way to report what was found
    only when the language model worked."""

    data: T | None = Field(description="What was asked for; null if there is an error.")
    code: int = Field(200, description="200, or 500 if the language model failed.", examples=[200])
    error: str | None = Field(
        None,
        description="Why the language model failed; null if it did not.",
        examples=[None, "No language model is deployed."],
    )
