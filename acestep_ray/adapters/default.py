"""The adapters of jobs that name none, as upstream's routes set them: one state for the service.

It is kept as a file in artifact storage, so every ingress replica has it, and a new start too.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from acestep_ray.artifacts.errors import ArtifactMissing, StorageError
from acestep_ray.artifacts.store import Artifacts

logger = logging.getLogger(__name__)

KEY = "service/default_adapter.json"
FRESH_SECONDS = 1.0
"""How long another ingress replica may use the state before a change."""


class LoadedAdapter(BaseModel):
    """An adapter under the name that the client gave it."""

    name: str
    """Its name in the folder of adapters."""
    scale: float = 1.0


class DefaultAdapter(BaseModel):
    """What upstream's routes have loaded."""

    loaded: dict[str, LoadedAdapter] = Field(default_factory=dict)
    """By the name that the client gave, in the order in which they were loaded."""
    active: str = ""
    """One of ``loaded``; empty: none."""
    enabled: bool = True

    @property
    def used(self) -> LoadedAdapter | None:
        """That of jobs that name none; None: such jobs have none."""
        return self.loaded.get(self.active) if self.enabled else None


class DefaultAdapterFile:
    """Reads and writes the state. Belongs to one event loop. Raises StorageError."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._known = DefaultAdapter()
        self._read_at = -FRESH_SECONDS
        self._lock = asyncio.Lock()

    async def get(self) -> DefaultAdapter:
        """The state, at most FRESH_SECONDS old, or older while it cannot be read."""
        async with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                began = time.monotonic()
                try:
                    self._known = await self._read()
                except StorageError as error:
                    logger.warning("The default adapter is the one that was known: %s", error)
                    began = time.monotonic()  # others do not wait for the same error at once
                self._read_at = began
            return self._known

    async def change(self, change: Callable[[DefaultAdapter], DefaultAdapter]) -> DefaultAdapter:
        """Store what ``change`` makes of the present state; this process uses it at once. Passes on
        what ``change`` raises."""
        async with self._lock:
            state = change(await self._read())
            await self._write(state)
            self._known, self._read_at = state, time.monotonic()
        return state

    async def _write(self, state: DefaultAdapter) -> None:
        with tempfile.TemporaryDirectory(prefix="acestep-adapter-") as folder:
            path = Path(folder) / "state.json"
            path.write_text(state.model_dump_json())
            await self._artifacts.put_file(KEY, path)

    async def _read(self) -> DefaultAdapter:
        try:
            size = await self._artifacts.size(KEY)
            text = b"".join([part async for part in self._artifacts.stream(KEY, 0, size)])
            return DefaultAdapter.model_validate_json(text)
        except ArtifactMissing:
            return DefaultAdapter()
        except ValidationError:  # written by a later release
            return DefaultAdapter()
