"""Settings of log lines and traces."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from acestep_ray.settings.group import Group

_HEADERS = re.compile(r"[\w!#$%&'*+.^`|~-]+=[^,=][^,]*(,\s*[\w!#$%&'*+.^`|~-]+=[^,=][^,]*)*", re.A)


def _endpoint(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^/@?#\s]+(/[^?#\s]*)?", url):
        raise ValueError(
            "the endpoint is http://HOST:PORT or https://HOST:PORT, perhaps with a path; "
            "credentials belong in tracing.headers"
        )
    return url.rstrip("/")


def _headers(headers: SecretStr) -> SecretStr:
    text = headers.get_secret_value()
    if text and not _HEADERS.fullmatch(text):
        raise ValueError("tracing.headers holds NAME=VALUE, with commas between several")
    return headers


class Logs(Group):
    """What the processes of the service log, and how."""

    format: Literal["text", "json"] = Field(
        "text", description="Lines for people, or one JSON object per line."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least level of the service's own lines. Libraries log from warning on. "
        "`acestep-ray serve` shows lines below warning only with --verbose.",
    )


class Tracing(Group):
    """Where the spans of requests and jobs are sent (OTLP over HTTP, protobuf)."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(
        "",
        description="Base URL of an OpenTelemetry collector, such as http://collector:4318; "
        "/v1/traces is added. Empty: no traces.",
    )
    headers: Annotated[SecretStr, AfterValidator(_headers)] = Field(
        SecretStr(""),
        description="Headers for it, NAME=VALUE with commas between several. Special characters "
        "in a value are percent-encoded, as in OTEL_EXPORTER_OTLP_HEADERS.",
    )
    ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces that are recorded, of those that begin here. A client "
        "that sends traceparent decides for its own.",
    )
    service_name: str = Field("acestep-ray", min_length=1, description="service.name of the spans.")
