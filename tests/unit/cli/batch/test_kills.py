"""A batch that is killed twice makes each song exactly once."""

import json
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import soundfile

from tests.one_process import one_process
from tests.service import until
from tests.unit.cli.batch.songs import report_of, write_songs
from tests.unit.cli.commands import CommandLine

SONGS = 100


@pytest.mark.parametrize("moments", [(10, 60), (1, 2)], ids=["later", "at once"])
def test_a_hundred_songs_and_two_kills(tmp_path: Path, moments: tuple[int, int]) -> None:
    # Some lines are equal, and are songs of their own nevertheless.
    songs = [{"caption": f"song {number % 40}"} for number in range(SONGS)]
    file, out = write_songs(tmp_path, songs), tmp_path / "out"
    with one_process(data=tmp_path / "data", mock={"step_seconds": 0.01}) as service:
        cli = CommandLine(service.url, tmp_path)
        for takes in moments:
            with cli.started("batch", file, "-o", out) as process:
                until(partial(has_made, out, takes), "no song was made")
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert len(made(out)) < SONGS
        ended = cli.run("batch", file, "-o", out)
        assert ended.exit_code == 0, ended.output
        jobs = cli.document("jobs", "--limit", 200)
    assert len(jobs) == SONGS, "each request became one job"
    assert {job["status"] for job in jobs} == {"succeeded"}
    asked = Counter(song["caption"] for song in songs)
    assert Counter(job["caption"] for job in jobs) == asked
    report = report_of(out)
    assert (report["made"], report["failed"], report["left"]) == (SONGS, 0, 0)
    ids = {result["job_id"] for result in report["results"]}
    assert ids == {job["job_id"] for job in jobs}
    files = [name for result in report["results"] for name in result["files"]]
    assert sorted(files) == sorted(file.name for file in made(out)) and len(files) == SONGS
    assert all(soundfile.info(out / name).duration == pytest.approx(1) for name in files)
    assert not list(out.glob(".*.part")), "nothing is left of cut downloads"
    assert all(json.loads(line) for line in (out / "batch-state.jsonl").read_text().splitlines())


def has_made(out: Path, songs: int) -> bool:
    return len(made(out)) >= songs


def made(out: Path) -> list[Path]:
    return list(out.glob("*.wav"))
