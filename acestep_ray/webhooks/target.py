"""A webhook's URL, taken apart once: what is checked is what is called."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from pydantic import HttpUrl, TypeAdapter, ValidationError

LONGEST_URL = 2000
"""Characters of a URL, at most."""

_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)
_PLAIN = re.compile(r"https?://(?P<authority>[^\s/?#\\]+)[^\s\\]*", re.IGNORECASE)


class BadUrl(ValueError):
    """A sentence that explains why a text cannot be the URL of a webhook."""


@dataclass(frozen=True)
class Target:
    """``scheme``: http or https. ``host``: a name or an address, in lower case and ASCII; of an
    IPv6 address without brackets. ``path``: with the query, in ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as in the header Host."""
        return self._with_port(self.server_name)

    @property
    def server_name(self) -> str:
        """The name that the receiver's certificate must have: without the dot that may end it."""
        return self.host.removesuffix(".")

    @property
    def url(self) -> str:
        """The URL in the form in which it is stored."""
        return f"{self.scheme}://{self._with_port(self.host)}{self.path}"

    def _with_port(self, host: str) -> str:
        """As in a URL: without the scheme's own port, and an IPv6 address in brackets."""
        host = f"[{host}]" if ":" in host else host
        own_port = 443 if self.scheme == "https" else 80
        return host if self.port == own_port else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Read a URL as browsers do: ``http://0x7f.1`` is ``http://127.0.0.1``, and names in other
    scripts become ASCII. Raises BadUrl."""
    if len(url) > LONGEST_URL:
        raise BadUrl(f"It is longer than {LONGEST_URL} characters.")
    plain = _PLAIN.fullmatch(url)
    if not plain:
        raise BadUrl("It must begin with http:// or https:// and a host, without spaces.")
    try:
        read = _URL.validate_python(url)
    except ValidationError:
        raise BadUrl("It is not a URL.") from None
    if "@" in plain["authority"]:
        raise BadUrl("It holds a user name or password; put a token into its path or query.")
    if read.fragment is not None:
        raise BadUrl("It holds a fragment (#), which is not sent.")
    if not read.host or not read.port:
        raise BadUrl("It needs a host, and a port from 1 to 65535 if it has one.")
    query = "" if read.query is None else f"?{read.query}"
    return Target(read.scheme, _host(read.host), read.port, f"{read.path or '/'}{query}")


def _host(host: str) -> str:
    return str(IPv6Address(host[1:-1])) if host.startswith("[") else host
