"""A real S3-compatible object store for tests: SeaweedFS, a separate process that keeps its data.

Tests cannot use the clouds' own stores. SeaweedFS checks signatures and rights, supports multipart
uploads and pages of a list, and people run it themselves.
"""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import obstore
from obstore.store import S3Store

from tests.service import free_port, until

PROGRAM = Path(sys.executable).with_name("weed")
BUCKET = "songs"
KEY, SECRET = "writer", "the writer's secret"
READER_KEY, READER_SECRET = "reader", "the reader's secret"
CONFIG = f"""{{"identities": [
  {{"name": "writer", "actions": ["Admin", "Read", "List", "Write"],
    "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}]}},
  {{"name": "reader", "actions": ["Read", "List"],
    "credentials": [{{"accessKey": "{READER_KEY}", "secretKey": "{READER_SECRET}"}}]}}
]}}"""


class S3Server:
    """One server with a bucket; stored files survive ``kill`` and ``start``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {
            f"{part}.port{kind}": free_port()
            for part in ("master", "volume", "filer", "s3")
            for kind in ("", ".grpc")
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._ports['s3.port']}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        config: Any = {name.removeprefix("AWS_").lower(): v for name, v in self.environment.items()}
        self.store = S3Store(BUCKET, **config, retry_config={"max_retries": 0})

    def start(self) -> None:
        """Start it on the existing data, and wait until it serves the bucket."""
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        config.write_text(CONFIG)
        options = {
            "dir": self._folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 100,
            "filer.localSocket": self._folder / "filer.sock",
            "s3": "true",
            "s3.config": config,
            "s3.localSocket": self._folder / "s3.sock",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **self._ports,
        }
        command: list[str | Path] = [PROGRAM, "-logtostderr=true", "-v=0", "server"]
        command += [f"-{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._ready, "the object store did not start")

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self._folder / "log").read_text())
        try:
            # Signed for the root, a PUT makes the bucket if it does not exist yet.
            make = obstore.sign(self.store, "PUT", "", timedelta(minutes=1))
            if httpx.put(make).status_code not in (200, 409):
                return False
            obstore.put(self.store, "ready", b"")
            obstore.delete(self.store, "ready")
        except (httpx.HTTPError, obstore.exceptions.BaseError, OSError):
            return False
        return True

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for port in self._ports.values():  # its own sockets: no option sets their place
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink()

    def remove(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder)

    def stored(self) -> list[str]:
        """The keys in the bucket."""
        return sorted(item["path"] for item in obstore.list(self.store).collect())

    def uploads(self) -> int:
        """Multipart uploads that are in progress, or were left. S3's own way needs a signed query,
        so this reads the file system of the server."""
        port = self._ports["filer.port"]
        url = f"http://127.0.0.1:{port}/buckets/{BUCKET}/.uploads/"
        answer = httpx.get(url, headers={"Accept": "application/json"})
        return len(answer.json()["Entries"] or []) if answer.status_code == 200 else 0
