"""Several streams that are read at the same time, as one stream."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def side_by_side(
    streams: Sequence[AsyncGenerator[T, None]],
) -> AsyncGenerator[tuple[int, T], None]:
    """The items of all streams as they come, each with the number of its stream.

    If one stream fails, all others are closed, and its error is raised. If this one is closed, so
    are they: when it has returned, none of them is being read.
    """
    items: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue()

    async def read(number: int, stream: AsyncGenerator[T, None]) -> None:
        async with aclosing(stream):
            async for item in stream:
                items.put_nowait((number, item))

    readers = [asyncio.create_task(read(*one)) for one in enumerate(streams)]
    for reader in readers:
        reader.add_done_callback(lambda _: items.put_nowait(None))
    try:
        for _ in readers:
            while (item := await items.get()) is not None:
                yield item
            for reader in readers:
                if reader.done():
                    reader.result()
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
