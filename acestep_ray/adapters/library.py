"""The adapters that requests may name, and their files on this node."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from acestep_ray.adapters.cache import FileCache
from acestep_ray.adapters.files import AdapterFiles, StoredFile, files_at
from acestep_ray.adapters.header import (
    AdapterKind,
    BadAdapter,
    BadFile,
    Header,
    header_length,
    parse_config,
    parse_header,
)
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""How old a list of adapters may be."""
AT_A_TIME = 8
"""Headers that are read at a time."""
LONGEST_CONFIG = 1_000_000
"""Bytes of an adapter_config.json."""

CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
OWN_FILES = frozenset(
    {PEFT_WEIGHTS, "lokr_weights.safetensors", "pytorch_lora_weights.safetensors"}
)
"""Names that trainers give to the weights: the adapter has the name of the folder."""
_OF_TRAINERS = ("adapter", "final")
"""Folders in which trainers put the adapter's own."""


@dataclass(frozen=True)
class Adapter:
    """An adapter as its files describe it."""

    name: str
    weights: StoredFile
    config: StoredFile | None
    kind: AdapterKind | None = None
    rank: int | None = None
    width: int | None = None
    """As of Header."""
    problem: str = ""
    """Why it cannot be used, as the rest of a sentence; empty: it can."""
    unread: bool = False
    """Whether its files could not be read, so that the next look has to try it again."""

    @property
    def version(self) -> str:
        """Another one if a file is another one."""
        parts = [self.weights.path, self.weights.version]
        parts += [self.config.path, self.config.version] if self.config else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def fits(self, width: int | None) -> bool:
        """Whether it can be used in a model of this width; None: in one that takes any."""
        return not self.problem and (self.width is None or width in (None, self.width))


@dataclass(frozen=True)
class LocalAdapter:
    """An adapter whose files are on this node."""

    name: str
    version: str
    weights: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    """What its adapter_config.json holds."""


class AdapterLibrary:
    """Belongs to one event loop. Methods raise StorageError."""

    def __init__(self, files: AdapterFiles, cache: FileCache) -> None:
        self._files = files
        self._cache = cache
        self._known: dict[str, Adapter] | None = None
        self._read_at = -FRESH_SECONDS
        self._look = SharedCall(self._look_again)

    async def all(self) -> Mapping[str, Adapter]:
        """Every adapter by its name, also those that cannot be used; at most FRESH_SECONDS old, or
        older while they cannot be listed. Raises StorageError only if they never could be: once,
        for all who wait."""
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            await self._look()
        assert self._known is not None
        return self._known

    async def _look_again(self) -> None:
        began = time.monotonic()
        try:
            self._known = await self._read()
        except StorageError as error:
            if self._known is None:
                raise
            logger.warning("The adapters are those that were known before: %s", error)
            began = time.monotonic()  # others do not wait for the same error at once
        self._read_at = began

    async def local(self, name: str) -> LocalAdapter:
        """The adapter with its files on this node. Raises BadAdapter."""
        adapter = (await self.all()).get(name)
        if adapter is None:
            raise BadAdapter(f"The adapter {name} is no longer there.")
        if adapter.problem:
            raise BadAdapter(f"The adapter {name} {adapter.problem}.")
        weights = await self._local_file(adapter.weights)
        config: Mapping[str, Any] = {}
        if adapter.config:
            try:
                config = parse_config(await self._files.read(adapter.config, 0, LONGEST_CONFIG))
            except BadFile as error:  # it was changed just now
                raise BadAdapter(f"The adapter {name} {error}.") from error
        return LocalAdapter(name, adapter.version, weights, config)

    async def _local_file(self, file: StoredFile) -> Path:
        path = self._files.local(file)
        if path is not None:
            return path
        return await self._cache.get(file, lambda path: self._files.copy(file, path))

    async def _read(self) -> dict[str, Adapter]:
        found = _adapters(await self._files.list())
        known = {(a.name, a.version): a for a in (self._known or {}).values() if not a.unread}
        limit = asyncio.Semaphore(AT_A_TIME)

        async def described(adapter: Adapter) -> Adapter:
            before = known.get((adapter.name, adapter.version))
            if before is not None:
                return before
            async with limit:
                return await self._described(adapter)

        done = await asyncio.gather(*map(described, found))
        return {adapter.name: adapter for adapter in done}

    async def _described(self, adapter: Adapter) -> Adapter:
        """With what its header and its config report."""
        try:
            header = await self._header(adapter.weights)
            kind = header.kind
            if adapter.config:
                parse_config(await self._files.read(adapter.config, 0, LONGEST_CONFIG))
        except StorageError as error:
            return replace(adapter, problem=f"cannot be used now: {error}", unread=True)
        except BadFile as error:
            return replace(adapter, problem=f"cannot be used: {adapter.weights.path} {error}")
        return replace(adapter, kind=kind, rank=header.rank, width=header.width)

    async def _header(self, file: StoredFile) -> Header:
        length = header_length(await self._files.read(file, 0, 8))
        return parse_header(await self._files.read(file, 8, 8 + length), file.bytes)


def library_of(settings: Settings, patience: float) -> AdapterLibrary | None:
    """The adapters that the settings name; None: there are none. ``patience``: longest wait for an
    unavailable bucket, seconds."""
    if not settings.adapters:
        return None
    cache = FileCache(settings.data / "adapters", settings.dit.adapter_cache_bytes)
    return AdapterLibrary(files_at(settings.adapters, patience), cache)


def name_of_path(path: str, folder: str, known: Collection[str]) -> str:
    """The name of the adapter that a path of a client means: its name, its path in ``folder``, or
    one that ends in its name, as a client on another machine knows it. Empty: none of ``known``."""
    below = path.removeprefix(folder) if folder else path
    parts = [part for part in below.replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and parts[-1] in OWN_FILES:
        parts.pop()
    elif parts and parts[-1].endswith(".safetensors"):
        parts[-1] = parts[-1].removesuffix(".safetensors")
    whole = _folder_name(PurePosixPath(*parts))
    ends = (whole.split("/", skipped)[-1] for skipped in range(whole.count("/") + 1))
    return next((name for name in (path, whole, *ends) if name in known), "")


def lokr_settings(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """How LyCORIS made a LoKr adapter, from the header of its file; empty: not known."""
    try:
        found = json.loads(metadata.get("lokr_config", "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _adapters(files: Iterable[StoredFile]) -> list[Adapter]:
    """The adapters among the files, by name. If two would have one name, the whole path is the name
    of the later one."""
    by_path = {PurePosixPath(file.path): file for file in files}
    found: dict[str, Adapter] = {}
    weights = sorted(path for path in by_path if path.suffix == ".safetensors")
    for path in weights:
        name = _folder_name(path.parent) if path.name in OWN_FILES else ""
        name = name or path.with_suffix("").as_posix()
        if name in found:
            name = path.as_posix()
        found[name] = Adapter(name, by_path[path], by_path.get(path.parent / CONFIG))
    return [found[name] for name in sorted(found)]


def _folder_name(folder: PurePosixPath) -> str:
    """The folder's path without what trainers put below it; empty: it is the top."""
    parts = list(folder.parts)
    for last in _OF_TRAINERS:
        if len(parts) > 1 and parts[-1] == last:
            parts.pop()
    return "/".join(parts)
