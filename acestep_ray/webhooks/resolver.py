"""Addresses of a host that a webhook may call, by the machine's own name service."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from acestep_ray.webhooks.addresses import Address, Network, literal, may_be_called

THREADS = 128
"""Lookups at a time, per process. One may hang for half a minute, and others must not wait for it.
Threads are started when they are needed."""
MOST_ADDRESSES = 4
"""So many addresses of a host are tried."""

_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class LookupFailed(Exception):
    """The host has no address now. ``unknown``: the name service has no such name; if not, it may
    have it later."""

    def __init__(self, unknown: bool) -> None:
        super().__init__("host not found" if unknown else "name service not available")
        self.unknown = unknown


class AddressRefused(Exception):
    """The host has an address that webhooks may not call. The text is for logs, not for clients: it
    may name an address in a network that they do not see."""


class Resolver:
    """Finds and checks addresses. One per process.

    ``allowed``: networks that may be called beside public addresses.
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-lookup")

    async def addresses(self, host: str, port: int, seconds: float) -> tuple[Address, ...]:
        """The addresses to connect to, best first, after a check of each. ``host``: a name, or an
        address without brackets.

        Raises LookupFailed, also after ``seconds``, and AddressRefused if one of them may not be
        called.
        """
        address = literal(host)
        found = (address,) if address else await self._look_up(host, port, seconds)
        for one in found:
            if not may_be_called(one, self._allowed):
                raise AddressRefused(f"{host} has the address {one}, which may not be called")
        return found[:MOST_ADDRESSES]

    async def _look_up(self, host: str, port: int, seconds: float) -> tuple[Address, ...]:
        # As bytes: of a text, Python encodes the parts of the name itself, and refuses some.
        name = host.encode("ascii")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                found = await loop.run_in_executor(self._threads, _getaddrinfo, name, port)
        except TimeoutError:
            raise LookupFailed(unknown=False) from None
        except socket.gaierror as error:
            raise LookupFailed(unknown=error.errno in _UNKNOWN) from error
        return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


def _getaddrinfo(name: bytes, port: int) -> list[tuple[object, object, object, str, tuple[str]]]:
    found: list[tuple[object, object, object, str, tuple[str]]]
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)  # type: ignore[assignment]
    return found
