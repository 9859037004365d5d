"""The asynchronous client behind the methods of the synchronous one, so that every test runs with
both."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import Any

from acestep_ray.client import AsyncClient, AsyncJob, Client


class Blocking:
    """A client, or a job of it: what its methods return is awaited."""

    def __init__(self, target: AsyncClient | AsyncJob, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return partial(self._call, found) if inspect.ismethod(found) else found

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._plain(method(*args, **kwargs))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, AsyncGenerator):
            return self._items(value)
        if inspect.isawaitable(value):

            async def result() -> Any:
                return await value

            return self._plain(self._runner.run(result()))
        if value is self._target:
            return self
        return Blocking(value, self._runner) if isinstance(value, AsyncJob) else value

    def _items(self, items: AsyncGenerator[Any, None]) -> Iterator[Any]:
        try:
            while (item := self._runner.run(_next(items))) is not None:
                yield self._plain(item)
        finally:
            self._runner.run(items.aclose())


async def _next(items: AsyncGenerator[Any, None]) -> Any:
    return await anext(items, None)


def make(kind: str, runner: asyncio.Runner, *args: Any, **kwargs: Any) -> Client:
    """A client with the methods of the synchronous one. ``kind``: sync or async."""
    if kind == "sync":
        return Client(*args, **kwargs)

    async def connect() -> AsyncClient:
        return AsyncClient(*args, **kwargs)

    client: Any = Blocking(runner.run(connect()), runner)
    client.close = client.aclose
    return client  # type: ignore[no-any-return]
