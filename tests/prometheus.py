"""A real Prometheus for tests. It scrapes one service, and evaluates rules if it gets some."""

import atexit
import math
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.service import free_port, until


class Prometheus:
    """A separate process with its data in ``folder``. Listens on loopback only.

    ``ports``: of this machine, where metrics are. ``rules``: files of rules. ``every``: seconds
    between two scrapes, and between two evaluations of the rules; a scrape may take as long.
    """

    def __init__(
        self, folder: Path, ports: Sequence[int], rules: Sequence[Path] = (), every: float = 3.0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self._config = {
            "global": {
                "scrape_interval": f"{every * 1000:.0f}ms",
                "evaluation_interval": f"{every * 1000:.0f}ms",
            },
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [
                {
                    "job_name": "acestep-ray",
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
            ],
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        file = self.folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(self._config))
        command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.folder}/data"]
        command.append(f"--web.listen-address=127.0.0.1:{self.port}")
        with (self.folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        atexit.register(self._process.kill)  # if a test failed before it did this
        until(self._ready, f"{self.folder}/prometheus.log tells why Prometheus does not start")
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self.http.close()
        self._process.terminate()
        self._process.wait()

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "prometheus.log").read_text()
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def query(self, expr: str) -> list[tuple[Mapping[str, str], float]]:
        """The series of a query now: labels and value."""
        found = self._ask("query", query=expr)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def has_data(self, expr: str, seconds: float = 120.0) -> bool:
        """Whether a query has had a number in the last ``seconds``. On a busy machine a scrape may
        fail, and then there is nothing for a moment."""
        now = time.time()
        times = {"start": str(now - seconds), "end": str(now), "step": "5"}
        found = self._ask("query_range", query=expr, **times)["result"]
        return any(math.isfinite(float(value)) for one in found for _, value in one["values"])

    def value(self, expr: str) -> float | None:
        """The value of a query with one series; None if there is none."""
        found = self.query(expr)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def alerts(self) -> dict[str, str]:
        """The active alerts, and whether each is pending or firing."""
        active = self._ask("alerts")["alerts"]
        return {one["labels"]["alertname"]: one["state"] for one in active}

    def rules(self) -> list[dict[str, Any]]:
        """The groups of rules, each with its rules and their health."""
        groups: list[dict[str, Any]] = self._ask("rules")["groups"]
        return groups

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/v1/{what}", params=parameters)
        body = answer.json()
        assert answer.status_code == 200, body
        data: dict[str, Any] = body["data"]
        return data
