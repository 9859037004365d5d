"""Settings of webhooks: signatures, which addresses may be called, and how tries follow."""

import base64
import binascii
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from acestep_ray.settings.group import Group
from acestep_ray.settings.written_values import split_words, words

Network = IPv4Network | IPv6Network

_GROUPS: dict[str, tuple[Network, ...]] = {
    "private": tuple(
        map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
    ),
    "loopback": tuple(map(ip_network, ("127.0.0.0/8", "::1/128"))),
}
"""Networks that have a word."""
_SECRET = re.compile(r"whsec_([A-Za-z0-9+/]+=*)")


def _secrets(secret: SecretStr) -> SecretStr:
    """Check the secrets now, so that no message waits for a good one. Raises ValueError."""
    for text in split_words(secret.get_secret_value()):
        found = _SECRET.fullmatch(text)
        if not found or not 24 <= _length(found[1]) <= 64:
            raise ValueError(
                "a webhook secret is whsec_ followed by 24 to 64 random bytes as base64; make one "
                'with: echo "whsec_$(openssl rand -base64 32)"'
            )
    return secret


def _length(text: str) -> int:
    """Bytes of a base64 text; 0 if it is none. Its padding may be missing."""
    try:
        return len(base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)))
    except binascii.Error:
        return 0


def _allowed(allow: tuple[str, ...]) -> tuple[str, ...]:
    try:
        _networks(allow)
    except ValueError as error:
        raise ValueError(
            "webhooks.allow lists networks such as 10.1.0.0/16, single addresses, and the words "
            f"{' and '.join(_GROUPS)}: {error}"
        ) from None
    return allow


def _networks(allow: tuple[str, ...]) -> tuple[Network, ...]:
    found = (_GROUPS.get(text) or (ip_network(text),) for text in allow)
    return tuple(network for networks in found for network in networks)


class Webhooks(Group):
    """Messages about jobs to addresses that clients name (docs/events.md). Times are in seconds."""

    secret: Annotated[SecretStr, AfterValidator(_secrets)] = Field(
        SecretStr(""),
        description="Signs every message: whsec_ and 24 to 64 random bytes as base64. Several, "
        "with commas, while receivers change from one to the next: messages are signed with each. "
        "Empty: requests cannot ask for webhooks.",
    )
    allow: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(words), AfterValidator(_allowed)
    ] = Field(
        (),
        description="Addresses that may be called although they are not public: networks such as "
        "10.1.0.0/16, with commas; private: all private networks; loopback: this machine.",
    )
    timeout: float = Field(
        10.0, gt=0, le=60, description="Longest time of one try, from the look-up of the host."
    )
    first_pause: float = Field(
        1.0, gt=0, le=3600, description="Pause after the first failed try; then it doubles."
    )
    longest_pause: float = Field(
        3600.0, gt=0, le=86_400, description="Longest pause between tries."
    )
    give_up_seconds: float = Field(
        86_400.0, gt=0, description="A message that fails for this time is given up."
    )
    progress_seconds: float = Field(
        5.0, gt=0, description="Least time between two messages about the progress of one job."
    )
    concurrency: int = Field(32, ge=1, le=256, description="Tries at a time, per runner.")
    per_host: int = Field(8, ge=1, le=256, description="Of these, to one host.")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets, in the order of the setting. Empty: there are no webhooks."""
        return split_words(self.secret.get_secret_value())

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """The networks that ``allow`` names."""
        return _networks(self.allow)
