"""Turns: a host that is slow or silent takes nothing from the others."""

import asyncio
import time

import pytest

from acestep_ray.webhooks.hosts import MOST_WAITING, Hosts, TurnedAway

SOON = 30.0


async def until(condition: object) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


class Sending:
    """Messages that are being sent until the test lets them end."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.began: list[str] = []
        self.turned_away: list[str] = []
        self.go_on = asyncio.Event()
        self.most = 0
        self._now = 0

    async def send(self, host: str, seconds: float = SOON) -> None:
        try:
            async with self.hosts.turn(host, time.monotonic() + seconds):
                self.began.append(host)
                self._now += 1
                self.most = max(self.most, self._now)
                await self.go_on.wait()
                self._now -= 1
        except TurnedAway:
            self.turned_away.append(host)


async def test_a_busy_host_takes_only_its_share() -> None:
    sending = Sending(Hosts(most=4, per_host=2))
    tasks = [asyncio.create_task(sending.send("slow")) for _ in range(10)]
    await until(lambda: len(sending.began) == 2)
    tasks.append(asyncio.create_task(sending.send("other")))
    await until(lambda: "other" in sending.began)
    assert sending.began == ["slow", "slow", "other"]
    sending.go_on.set()
    await asyncio.gather(*tasks)
    assert sending.began.count("slow") == 10


async def test_all_hosts_together_have_a_bound() -> None:
    sending = Sending(Hosts(most=3, per_host=2))
    tasks = [asyncio.create_task(sending.send(f"host {number}")) for number in range(20)]
    await until(lambda: len(sending.began) == 3)
    sending.go_on.set()
    await asyncio.gather(*tasks)
    assert len(sending.began) == 20 and sending.most == 3


async def test_what_is_too_much_for_one_host_does_not_wait_in_memory() -> None:
    sending = Sending(Hosts(most=4, per_host=2))
    tasks = [asyncio.create_task(sending.send("slow")) for _ in range(10_000)]
    await until(lambda: len(sending.turned_away) == 10_000 - MOST_WAITING)
    sending.go_on.set()
    await asyncio.gather(*tasks)
    assert len(sending.began) == MOST_WAITING


async def test_a_turn_that_comes_too_late_is_none() -> None:
    """Another process may have the message by then."""
    sending = Sending(Hosts(most=4, per_host=1))
    first = asyncio.create_task(sending.send("slow"))
    await until(lambda: sending.began)
    late = asyncio.create_task(sending.send("slow", seconds=0.01))
    await asyncio.sleep(0.02)
    sending.go_on.set()
    await asyncio.gather(first, late)
    assert sending.turned_away == ["slow"]


async def test_a_silent_host_rests_and_is_then_tried_again() -> None:
    hosts = Hosts(most=4, per_host=2, first_rest=0.1, longest_rest=0.2)
    sending = Sending(hosts)
    sending.go_on.set()
    hosts.note("silent", responded=False)
    await asyncio.gather(sending.send("silent"), sending.send("other"))
    assert sending.began == ["other", "silent"]


async def test_a_message_that_cannot_wait_for_the_end_of_a_rest_is_turned_away() -> None:
    hosts = Hosts(most=4, per_host=2, first_rest=1000, longest_rest=1000)
    sending = Sending(hosts)
    sending.go_on.set()
    hosts.note("silent", responded=False)
    await sending.send("silent")
    assert sending.turned_away == ["silent"]
    hosts.note("silent", responded=True)
    await sending.send("silent")
    assert sending.began == ["silent"]


async def test_those_who_wait_for_a_slot_wait_for_the_rest_as_well() -> None:
    hosts = Hosts(most=4, per_host=1, first_rest=1000, longest_rest=1000)
    with pytest.raises(TurnedAway):
        async with hosts.turn("h", time.monotonic() + SOON):
            second = asyncio.create_task(_turn(hosts))
            await asyncio.sleep(0)
            hosts.note("h", responded=False)
        await second


async def _turn(hosts: Hosts) -> None:
    async with hosts.turn("h", time.monotonic() + SOON):
        pass


async def test_hosts_are_forgotten() -> None:
    hosts = Hosts(most=4, per_host=1, first_rest=0.0001, longest_rest=0.0001)
    for number in range(2000):
        name = f"host {number}"
        await _turn_of(hosts, name)
        hosts.note(name, responded=number % 2 == 0)
    await asyncio.sleep(0.01)
    await _turn_of(hosts, "another")
    assert len(hosts._hosts) < 10


async def _turn_of(hosts: Hosts, name: str) -> None:
    async with hosts.turn(name, time.monotonic() + SOON):
        pass
