"""The adapters of jobs that name none, as upstream's routes set them: one state for the service.

It is kept as a file in artifact storage, so every ingress replica has it, and a new start too.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.artifacts.store import Artifacts

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
    """Reads and writes the state. Belongs to one event loop. Methods raise StorageError."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._known = DefaultAdapter()
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def get(self) -> DefaultAdapter:
        """The state, at most FRESH_SECONDS old."""
        async with self._reading:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                began = time.monotonic()
                self._known = await self._read()
                self._read_at = began
        return self._known

    async def put(self, state: DefaultAdapter) -> None:
        """Store a state; this process uses it at once."""
        with tempfile.TemporaryDirectory(prefix="acestep-adapter-") as folder:
            path = Path(folder) / "state.json"
            path.write_text(state.model_dump_json())
            await self._artifacts.put_file(KEY, path)
        self._known, self._read_at = state, time.monotonic()

    async def _read(self) -> DefaultAdapter:
        try:
            size = await self._artifacts.size(KEY)
            text = b"".join([part async for part in self._artifacts.stream(KEY, 0, size)])
            return DefaultAdapter.model_validate_json(text)
        except ArtifactMissing:
            return DefaultAdapter()
        except ValidationError:  # written by a later release
            return DefaultAdapter()
