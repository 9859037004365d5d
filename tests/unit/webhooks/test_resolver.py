"""Look-ups: each address of a host is checked, and a slow name service holds nobody up."""

import asyncio
import threading
from ipaddress import ip_address, ip_network

import pytest

from acestep_ray.webhooks.resolver import (
    MOST_ADDRESSES,
    AddressRefused,
    LookupFailed,
    Resolver,
)
from tests.unit.webhooks.names import UNAVAILABLE, UNKNOWN, SetNames

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


async def test_the_addresses_of_a_name(names: SetNames) -> None:
    names({"h": [["2606:4700::1", "1.1.1.1", "1.1.1.1"]]})
    found = await Resolver().addresses("h", 443, 5)
    assert found == (ip_address("2606:4700::1"), ip_address("1.1.1.1"))


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::1"], ["::ffff:169.254.169.254"], ["fe80::1%2"]],
)
async def test_one_address_that_is_not_public_is_enough_to_refuse(
    names: SetNames, answer: list[str]
) -> None:
    names({"h": [answer]})
    with pytest.raises(AddressRefused):
        await Resolver().addresses("h", 443, 5)


async def test_many_addresses_are_all_checked_and_a_few_used(names: SetNames) -> None:
    many = [f"1.1.1.{number}" for number in range(1, 100)]
    names({"h": [many], "evil": [[*many, "10.0.0.1"]]})
    assert len(await Resolver().addresses("h", 443, 5)) == MOST_ADDRESSES
    with pytest.raises(AddressRefused):
        await Resolver().addresses("evil", 443, 5)


async def test_what_this_machine_calls_itself_is_refused() -> None:
    """With the real name service."""
    for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::"):
        with pytest.raises(AddressRefused):
            await Resolver().addresses(host, 80, 30)
    with pytest.raises((AddressRefused, LookupFailed)):  # not every machine knows this one
        await Resolver().addresses("localhost.", 80, 30)


async def test_what_is_allowed_may_be_called() -> None:
    found = await Resolver(LOOPBACK).addresses("localhost", 80, 30)
    assert all(address.is_loopback for address in found)
    assert await Resolver(LOOPBACK).addresses("::1", 80, 30) == (ip_address("::1"),)


async def test_names_that_no_name_service_has(names: SetNames) -> None:
    names({"gone": [UNKNOWN], "later": [UNAVAILABLE]})
    with pytest.raises(LookupFailed) as gone:
        await Resolver().addresses("gone", 80, 5)
    with pytest.raises(LookupFailed) as later:
        await Resolver().addresses("later", 80, 5)
    assert (gone.value.unknown, later.value.unknown) == (True, False)


@pytest.mark.parametrize(
    "host", ["a..b", "x" * 300, f"{'x' * 64}.example", ".", "-", "a_b.invalid"]
)
async def test_names_that_no_name_can_be(host: str) -> None:
    """With the real name service."""
    with pytest.raises(LookupFailed):
        await Resolver().addresses(host, 80, 30)


async def test_a_look_up_that_hangs_holds_up_nobody(names: SetNames) -> None:
    go_on = threading.Event()

    def hang() -> list[str]:
        go_on.wait(60)
        return ["1.1.1.1"]

    names({"hangs": [hang], "h": [["1.1.1.1"]]})
    resolver = Resolver()
    hanging = asyncio.gather(
        *(resolver.addresses("hangs", 80, 0.05) for _ in range(20)), return_exceptions=True
    )
    try:
        assert await resolver.addresses("h", 80, 30) == (ip_address("1.1.1.1"),)
        failures = await hanging
    finally:
        go_on.set()
    assert all(isinstance(one, LookupFailed) and not one.unknown for one in failures)
