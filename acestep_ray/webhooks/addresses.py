"""Which network addresses a webhook may call: those of the public Internet, and what is allowed.

Without this, everybody who may submit a job could let the service call what only the service can
reach: its own ports, other machines of its network, the metadata of a cloud's machines.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's registries of special-purpose addresses, and what else is not one machine of the Internet.
_REFUSED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; connects to this machine
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers; some clouds' metadata
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # Azure's platform service, on each of its machines
        "169.254.0.0/16",  # link-local; clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; some clouds' metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays from 6to4, retired
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All other addresses of IPv6 are private, link-local, multicast, loopback or not assigned."""
_REFUSED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, such as Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")


def may_be_called(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether an address is public, or in one of the ``allowed`` networks.

    IPv6 addresses that lead to one of IPv4 are judged by that one.
    """
    inner = _inner(address)
    if any(one in network for network in allowed for one in {address, inner}):
        return True
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _REFUSED_IPV4)
    return inner in _PUBLIC_IPV6 and not any(inner in network for network in _REFUSED_IPV6)


def literal(host: str) -> Address | None:
    """The address that a host is written as; None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 leads to, if it does."""
    if isinstance(address, IPv6Address):
        if address in _MAPPED or address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        if address in _6TO4:
            return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return address
