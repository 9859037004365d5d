"""The Studio's files, as responses need them: read once, compressed once, named by their contents.

The page itself is checked by the browser at every load. All its other files are under a folder that
is named after their contents, so that a browser never has to ask for them again, and never mixes
the files of two releases.
"""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from acestep_ray.studio import FOLDER

PAGE = "index.html"
DIGEST = b"{digest}"
"""Where the page names the folder of its files."""
MODULES = b"<!-- modules -->"
"""Where the page lists its modules, so that a browser asks for all of them at once and not for each
when it has read the one that imports it."""
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_LEVEL = 9


@dataclass(frozen=True)
class StudioFile:
    """One file. ``compressed``: its body in the form of gzip."""

    body: bytes
    compressed: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "StudioFile":
        """The file of this name and body."""
        return cls(
            body,
            gzip.compress(body, _LEVEL, mtime=0),
            _MEDIA_TYPES[Path(name).suffix],
            _digest(body),
        )


@dataclass(frozen=True)
class StudioFiles:
    """``digest``: what the folder of the files is called. ``files``: by their paths below it."""

    digest: str
    page: StudioFile
    files: Mapping[str, StudioFile]


@cache
def studio_files(folder: Path = FOLDER) -> StudioFiles:
    """Every file of the Studio. Raises OSError if the package has lost its files."""
    bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _paths(folder)}
    page = bodies.pop(PAGE)
    named = [part for name in sorted(bodies) for part in (name.encode(), bodies[name])]
    digest = _digest(b"\0".join(named))
    page = page.replace(MODULES, b"\n".join(_preload(name) for name in _modules(bodies)))
    return StudioFiles(
        digest,
        StudioFile.of(PAGE, page.replace(DIGEST, digest.encode())),
        {name: StudioFile.of(name, body) for name, body in bodies.items()},
    )


def _modules(names: Iterable[str]) -> Iterator[str]:
    """The modules, without those that the page runs before it is painted."""
    return (name for name in sorted(names) if name.endswith(".js") and "/first/" not in name)


def _preload(name: str) -> bytes:
    return b'<link rel="modulepreload" href="studio/%b/%b">' % (DIGEST, name.encode())


def _paths(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
