"""docs/cli.md: what it promises is so, and its commands do what they show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.mcp.server import make_server
from tests.one_process import one_process
from tests.service import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCKS = [
    block
    for text in (PAGE, README)
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if block.startswith(("acestep-ray", "JOB=$(acestep-ray"))
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where somebody has lyrics, a song, and the list of an album."""
    (tmp_path / "song.txt").write_text("[Verse]\nHello world\n")
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(6 * 48_000) / 48_000)
    soundfile.write(tmp_path / "song.mp3", tone, 48_000)
    (tmp_path / "demos").mkdir()
    shutil.copy(tmp_path / "song.mp3", tmp_path / "demos")
    found = re.search(r'^```json\n(\{"caption".*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    assert found
    (tmp_path / "songs.jsonl").write_text(found[1])
    return tmp_path


def test_every_command_runs_as_it_is_shown(folder: Path) -> None:
    assert len(BLOCKS) >= 6
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACESTEP")}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    with one_process(data=folder / "data") as service:
        for block in BLOCKS:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=folder,
                env=kept | {"PATH": path, "ACESTEP_URL": service.url},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert (folder / "out" / "lofi-1.mp3").exists() and (folder / "made.json").exists()
    album = {file.name for file in (folder / "album").iterdir()}
    assert album >= {"0001-upbeat-pop-1.mp3", "0002-jazz-trio-1.flac", "report.json"}


def test_every_exit_status_is_listed() -> None:
    table = re.search(r"\| exit status .*?\n\n", PAGE, re.DOTALL)
    assert table
    listed = re.findall(r"^\| ([\d, ]+) \|", table[0], re.MULTILINE)
    assert [int(one) for cell in listed for one in cell.split(", ")] == [*ExitStatus]


async def test_every_tool_is_listed(tmp_path: Path) -> None:
    table = re.search(r"\| tool \|.*?\n\n", PAGE, re.DOTALL)
    assert table
    tools = await make_server(Connection("http://127.0.0.1:9"), tmp_path).list_tools()
    cells = re.findall(r"^\| (`.*?) \|", table[0], re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == {
        tool.name for tool in tools
    }
