"""Which service the commands talk to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from acestep_ray.client import AsyncClient, Client

T = TypeVar("T")

PANEL = "Connection"
DEFAULT_PATIENCE = 5.0
"""Seconds. A person who waits at a terminal wants to know soon that no service is there."""
OUTAGE = 600.0
"""Seconds without an answer, by default, while a known job is waited for: the service may be
restarting."""


@dataclass(frozen=True)
class Connection:
    """Address and key of the service; None: the client's defaults."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="ACESTEP_URL",
            show_default="http://127.0.0.1:8001",
            help="Address of the service.",
            rich_help_panel=PANEL,
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="ACESTEP_API_KEY",
            show_default=False,
            help="API key of the service. In the environment, other users cannot see it.",
            rich_help_panel=PANEL,
        ),
    ] = None
    patience: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            show_default="5; 600 for a job that is waited for, and for a batch",
            help="How long to try again if the service does not answer or its queue is full.",
            rich_help_panel=PANEL,
        ),
    ] = None

    def open(self) -> "Client":
        """A client of the service. It connects with its first request. Raises
        typer.BadParameter."""
        from acestep_ray.client import Client

        return self._made(Client)

    def open_async(self) -> "AsyncClient":
        """As ``open``, asynchronous."""
        from acestep_ray.client import AsyncClient

        return self._made(AsyncClient)

    def _made(self, kind: type[T]) -> T:
        from acestep_ray.client import Retries

        seconds, outage = (
            (DEFAULT_PATIENCE, OUTAGE) if self.patience is None else (self.patience, self.patience)
        )
        retries = Retries(seconds=seconds, outage=outage)
        try:
            return kind(self.url or None, self.api_key or None, retries=retries)  # type: ignore[call-arg]
        except ValueError as error:
            raise _refused(error) from None


def _refused(error: ValueError) -> typer.BadParameter:
    """Why a client cannot have such an address or key, by the names of the options."""
    text = str(error).replace("base_url", "--url", 1).replace("api_key", "--api-key", 1)
    return typer.BadParameter(text)
