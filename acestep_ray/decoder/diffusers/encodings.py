"""Encoded texts and sounds of the last jobs: a repaint session sends the same ones many times."""

import threading
from collections.abc import Callable, Hashable

import torch
from cachetools import LRUCache

MOST_BYTES = 64 * 2**20
"""Of all tensors that are kept, on the device. The longest texts of a song have 10 MB in 16 bits, a
source of ten minutes 2 MB."""


class Encodings:
    """Tensors by what they were made of; nobody may change them. Threads may share it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._lock = threading.Lock()
        self._kept: LRUCache[Hashable, torch.Tensor] = LRUCache(most_bytes, lambda one: one.nbytes)

    def get(self, content: Hashable, encode: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor of this content, from an earlier job or from ``encode``.

        ``content`` is all that the result depends on; None: unknown, so nothing is kept.
        """
        if content is None:
            return encode()
        with self._lock:
            known: torch.Tensor | None = self._kept.get(content)
        if known is not None:
            return known
        made = encode()
        with self._lock:
            if made.nbytes <= self._kept.maxsize:
                self._kept[content] = made
        return made

    def clear(self) -> None:
        """Forget all, because the device's memory is needed."""
        with self._lock:
            self._kept.clear()
