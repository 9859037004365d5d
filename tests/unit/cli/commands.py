"""The command line, in this process and in others."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from typer.testing import CliRunner, Result

from acestep_ray.cli.app import app
from acestep_ray.client import Client

COMMAND = [sys.executable, "-m", "acestep_ray.cli"]


def environment(**more: str) -> dict[str, str]:
    """That of this process, without settings of a service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACESTEP")}
    return {**kept, "COLUMNS": "200", **more}


@dataclass
class CommandLine:
    """Commands for one service, in a folder of their own."""

    url: str
    folder: Path

    def run(self, *words: object, stdin: str | bytes = "", url: str | None = None) -> Result:
        """Run a command in this process. Its exception, if it has one, is raised."""
        env = {"ACESTEP_URL": url or self.url, "ACESTEP_API_KEY": None, "COLUMNS": "200"}
        return CliRunner().invoke(
            app, [str(word) for word in words], input=stdin, env=env, catch_exceptions=False
        )

    def document(self, *words: object, status: int = 0) -> Any:
        """The JSON document that a command writes."""
        done = self.run(*words, "--json")
        assert done.exit_code == status, done.output
        return json.loads(done.stdout)

    @contextmanager
    def started(self, *words: object) -> Iterator["subprocess.Popen[str]"]:
        """A command in a process of its own, whose streams are no terminal."""
        process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            cwd=self.folder,
            env=environment(ACESTEP_URL=self.url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def client(self) -> Client:
        """A client of the same service."""
        return Client(self.url)


def first_line(stream: IO[str] | None, containing: str) -> str:
    """Read lines until one contains this text; it is returned."""
    assert stream is not None
    for line in stream:
        if containing in line:
            return line
    raise AssertionError(f"{containing!r} did not come")
