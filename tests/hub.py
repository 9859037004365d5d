"""A small model hub on loopback, with the routes that huggingface_hub asks."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PIECE = 1000
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """``repositories``: name -> path -> content. ``cut``: paths of which the next answer ends after
    so many bytes. ``wrong``: paths of which other bytes come than the hub states. ``slow``: paths
    that come a little at a time, until the hub ends. ``gated``: names. ``failing``: a status with
    which everything is answered; 0: none. ``served``: each file that was asked for, and from which
    byte on."""

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.cut: dict[str, int] = {}
        self.wrong: set[str] = set()
        self.slow: set[str] = set()
        self.ended = threading.Event()
        self.gated: set[str] = set()
        self.failing = 0
        self.served: list[tuple[str, int]] = []

    def content(self, name: str, path: str) -> bytes:
        """What is sent."""
        content = self.repositories[name][path]
        return bytes(255 - byte for byte in content) if path in self.wrong else content


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    it = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            words = unquote(urlsplit(self.path).path).strip("/").split("/")
            api = words[:2] == ["api", "models"]
            words = words[2:] if api else words
            name = "/".join(words[:2])
            if it.failing:
                return self._send(it.failing, b"out of order", {})
            if name not in it.repositories:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            if name in it.gated and not api:
                return self._send(403, b"", {"X-Error-Code": "GatedRepo"})
            files = it.repositories[name]
            if api:
                document = _tree(files) if "tree" in words else _info(name, files)
                return self._send(200, json.dumps(document).encode(), {})
            return self._file(name, "/".join(words[4:]), body=body)

        def _file(self, name: str, path: str, *, body: bool) -> None:
            if path not in it.repositories[name]:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            content = it.content(name, path)
            first = int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].split("-")[0])
            headers = {"ETag": f'"{_sha256(it.repositories[name][path])}"', "X-Repo-Commit": COMMIT}
            if not body:
                return self._send(200, content, headers, body=False)
            it.served.append((path, first))
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            return self._send(
                206 if first else 200,
                content[first:],
                headers,
                cut=it.cut.pop(path, None),
                slow=path in it.slow,
            )

        def _send(
            self,
            status: int,
            content: bytes,
            headers: dict[str, str],
            *,
            body: bool = True,
            cut: int | None = None,
            slow: bool = False,
        ) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if body and self.command != "HEAD":
                for start in range(0, len(content) if slow else 0, PIECE):
                    self.wfile.write(content[start : start + PIECE])
                    if it.ended.wait(0.5):
                        break
                else:
                    self.wfile.write(b"" if slow else content[:cut])
            if cut is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield it
    finally:
        it.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _info(name: str, files: dict[str, bytes]) -> dict[str, Any]:
    siblings = [{"rfilename": path} for path in files]
    card = {"license": "mit"}
    return {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}


def _tree(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "path": path,
            "size": len(content),
            "oid": "0" * 40,
            "lfs": {"oid": _sha256(content), "size": len(content), "pointerSize": 134},
        }
        for path, content in files.items()
    ]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
