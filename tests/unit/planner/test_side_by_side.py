"""Streams that are read at the same time: a failed or abandoned one leaves nothing running."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from acestep_ray.planner.vllm.side_by_side import side_by_side


class Streams:
    """Streams that note when they are closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.go = asyncio.Event()

    async def stream(
        self, name: str, *items: int, fails: bool = False, waits: bool = False
    ) -> AsyncGenerator[int, None]:
        try:
            for item in items:
                yield item
                await asyncio.sleep(0)
            if waits:
                await self.go.wait()
            if fails:
                raise RuntimeError(f"{name} failed")
        finally:
            self.closed.append(name)


async def test_every_item_comes_with_its_stream() -> None:
    streams = Streams()
    made = [streams.stream("a", 1, 2, 3), streams.stream("b"), streams.stream("c", 7)]
    found = [item async for item in side_by_side(made)]
    assert sorted(found) == [(0, 1), (0, 2), (0, 3), (2, 7)]
    assert [item for number, item in found if number == 0] == [1, 2, 3]
    assert sorted(streams.closed) == ["a", "b", "c"]


async def test_they_are_read_at_the_same_time() -> None:
    streams = Streams()
    made = [streams.stream("a", 1, waits=True), streams.stream("b", 2, waits=True)]
    async with aclosing(side_by_side(made)) as items:
        first = [await anext(items), await anext(items)]
        assert sorted(first) == [(0, 1), (1, 2)]
        streams.go.set()
        assert [item async for item in items] == []


async def test_one_that_fails_ends_the_others() -> None:
    streams = Streams()
    made = [streams.stream("a", 1, waits=True), streams.stream("b", 2, fails=True)]
    with pytest.raises(RuntimeError, match="b failed"):
        async for _ in side_by_side(made):
            pass
    assert sorted(streams.closed) == ["a", "b"]


async def test_closing_it_closes_all() -> None:
    streams = Streams()
    made = [streams.stream("a", 1, waits=True), streams.stream("b", 2, waits=True)]
    async with aclosing(side_by_side(made)) as items:
        await anext(items)
    assert sorted(streams.closed) == ["a", "b"]
