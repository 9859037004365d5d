"""The Studio's files, as responses need them: read once, compressed once, named by their contents.

The page itself is checked by the browser at every load. Its styles, and the script that runs before
it is painted, are in it, so that the first paint needs one request. All its other files are under a
folder that is named after their contents: a browser never has to ask for them again, and never
mixes the files of two releases.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from acestep_ray.studio import FOLDER

PAGE = "index.html"
DIGEST = b"{digest}"
"""Where the page names the folder of its files."""
MODULES = b"{modules}"
"""Where the page lists its modules, the main one first. After the first paint a browser asks for
all of them at once, and not for each when it has read the one that imports it."""
MAIN = "js/main.js"
_STYLES = re.compile(rb'(?:<link rel="stylesheet" href="studio/\{digest\}/[\w/.]+">\n)+')
_FIRST = re.compile(rb'<script src="studio/\{digest\}/([\w/.]+)"></script>')
_NAMES = re.compile(rb"\{digest\}/([\w/.]+)")
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
        compressed = gzip.compress(body, _LEVEL, mtime=0)
        return cls(body, compressed, _MEDIA_TYPES[Path(name).suffix], _digest(body))


@dataclass(frozen=True)
class StudioFiles:
    """``digest``: what the folder of the files is called. ``files``: by their paths below it.
    ``style`` and ``script``: the hashes of what is in the page itself, for its
    Content-Security-Policy."""

    digest: str
    page: StudioFile
    style: str
    script: str
    files: Mapping[str, StudioFile]


@cache
def studio_files(folder: Path = FOLDER) -> StudioFiles:
    """Every file of the Studio. Raises OSError if the package has lost its files."""
    bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _paths(folder)}
    page = bodies.pop(PAGE)
    named = [part for name in sorted(bodies) for part in (name.encode(), bodies[name])]
    digest = _digest(b"\0".join(named))
    styles, first = _STYLES.search(page), _FIRST.search(page)
    assert styles and first
    style = b"".join(bodies[name.decode()] for name in _NAMES.findall(styles[0]))
    script = bodies[first[1].decode()]
    page = page.replace(styles[0], b"<style>%b</style>\n" % style)
    page = page.replace(first[0], b"<script>%b</script>" % script)
    page = page.replace(MODULES, b" ".join(_address(name) for name in _modules(bodies)))
    return StudioFiles(
        digest,
        StudioFile.of(PAGE, page.replace(DIGEST, digest.encode())),
        _policy_hash(style),
        _policy_hash(script),
        {name: StudioFile.of(name, body) for name, body in bodies.items()},
    )


def _modules(names: Iterable[str]) -> list[str]:
    """The modules, without those that the page runs before it is painted."""
    found = (name for name in names if name.endswith(".js") and "/first/" not in name)
    return sorted(found, key=lambda name: (name != MAIN, name))


def _address(name: str) -> bytes:
    return b"studio/%b/%b" % (DIGEST, name.encode())


def _paths(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _policy_hash(text: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
