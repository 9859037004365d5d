"""Many songs: all are made, what fails is reported, and the queue is neither empty nor too full."""

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import soundfile

from acestep_ray.cli.batch.lines import read_lines
from acestep_ray.cli.batch.state import opened
from tests.one_process import OneProcess, one_process
from tests.unit.cli.batch.songs import Song, report_of, write_songs
from tests.unit.cli.commands import CommandLine, environment, first_line
from tests.unit.cli.terminal import Terminal


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[OneProcess]:
    """A service without jobs. A job that takes two seconds fails."""
    jobs = {"timeout": 2, "lease_seconds": 1}
    with one_process(data=tmp_path / "data", jobs=jobs) as service:
        yield service


@pytest.fixture
def batch_cli(empty: OneProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(empty.url, tmp_path)


def submits(service: OneProcess) -> int:
    return sum(one.method == "POST" and one.status == 200 for one in service.seen)


def test_songs_are_made_once_and_failures_are_reported(
    batch_cli: CommandLine, empty: OneProcess
) -> None:
    soundfile.write(batch_cli.folder / "a.wav", [0.1] * 48_000, 48_000)
    cover: Song = {"task_type": "cover", "caption": "jazz", "src_audio": "a.wav"}
    one: Song = {"caption": "one"}
    songs: list[Song] = [one, one, {"caption": "no", "bpm": 5}, cover]
    file, out = write_songs(batch_cli.folder, songs), batch_cli.folder / "out"
    done = batch_cli.run("batch", file, "-o", out)
    assert done.exit_code == 1, done.output
    assert done.stdout == "" and "3 of 4 songs are made, 1 failed" in done.stderr
    assert "3     0003-no  bpm must be a whole number from 30 to 300" in done.stderr
    wavs = {path.name for path in out.glob("*.wav")}
    assert wavs == {"0001-one-1.wav", "0002-one-1.wav", "0004-jazz-1.wav"}
    report = report_of(out)
    assert (report["made"], report["failed"], report["left"]) == (3, 1, 0)
    assert report["songs_per_hour"] > 0
    no = report["results"][2]
    assert (no["line"], no["status"], no["code"]) == (3, "failed", "invalid_value")

    before = submits(empty)
    again = batch_cli.document("batch", file, "-o", out, status=1)
    assert submits(empty) == before, "nothing is asked for again"
    assert (again["code"], again["exit_status"]) == ("songs_failed", 1)
    assert again["error"] == "3 of 4 songs are made, 1 failed."
    assert again["made_in_this_run"] == 0 and again["results"] == report["results"]

    write_songs(batch_cli.folder, [*songs[:2], {"caption": "no", "bpm": 50}, cover])
    assert batch_cli.run("batch", file, "-o", out).exit_code == 0
    assert (out / "0003-no-1.wav").exists() and submits(empty) == before + 1


def test_a_job_that_failed_is_made_anew_on_request(batch_cli: CommandLine) -> None:
    slow = {"caption": "slow", "audio_duration": 600, "audio_format": "flac"}
    file, out = write_songs(batch_cli.folder, [slow]), batch_cli.folder / "out"
    first = batch_cli.document("batch", file, "-o", out, status=1)["results"][0]
    assert (first["status"], first["code"]) == ("failed", "timeout")
    assert batch_cli.document("batch", file, "-o", out, status=1)["results"][0] == first
    anew = batch_cli.document("batch", file, "-o", out, "--retry-failed", status=1)["results"][0]
    assert anew["job_id"] != first["job_id"]


def test_takes_that_were_removed_are_fetched_or_made_again(
    batch_cli: CommandLine, empty: OneProcess
) -> None:
    songs = [{"caption": "one"}, {"caption": "two"}]
    file, out = write_songs(batch_cli.folder, songs), batch_cli.folder / "out"
    results = batch_cli.document("batch", file, "-o", out)["results"]
    for one in out.glob("*.wav"):
        one.unlink()
    httpx.delete(f"{empty.url}/v1/jobs/{results[1]['job_id']}").raise_for_status()
    again = batch_cli.document("batch", file, "-o", out)["results"]
    assert len(list(out.glob("*.wav"))) == 2
    assert again[0]["job_id"] == results[0]["job_id"], "its takes were still there"
    assert again[1]["job_id"] != results[1]["job_id"], "its job was gone"


def test_a_small_queue_is_neither_full_nor_empty(tmp_path: Path) -> None:
    songs = [{"caption": f"song {number}"} for number in range(10)]
    with one_process(data=tmp_path / "data", limits={"queue": 3}) as service:
        cli = CommandLine(service.url, tmp_path)
        file = write_songs(tmp_path, songs)
        report = cli.document("batch", file, "-o", tmp_path / "a", "--in-flight", 12)
        assert report["made"] == 10
        assert any(one.status == 429 for one in service.seen), "it was full, and nothing was lost"
        before = len(service.seen)
        assert cli.document("batch", file, "-o", tmp_path / "b")["made"] == 10
        assert not any(one.status == 429 for one in service.seen[before:])
        jobs = cli.document("jobs", "--limit", 10)
    at = [(job["created_at"], 1) for job in jobs] + [(job["finished_at"], -1) for job in jobs]
    busy = [sum(step for when, step in at if when <= moment) for moment, _ in sorted(at)]
    assert 2 <= max(busy) <= 3, "as many as may wait, and never more"


def test_a_service_that_is_gone_ends_the_batch_and_the_next_run_goes_on(tmp_path: Path) -> None:
    songs = [{"caption": f"song {number}"} for number in range(40)]
    file, out = write_songs(tmp_path, songs), tmp_path / "out"
    step = {"step_seconds": 0.05}
    with one_process(data=tmp_path / "data", mock=step) as service:
        cli = CommandLine(service.url, tmp_path)
        with cli.started("batch", file, "-o", out, "--patience", 1) as process:
            first_line(process.stderr, "made")
            service.stop()
            assert process.wait(120) == 3
            assert process.stderr is not None
            assert "the same command goes on with the batch" in process.stderr.read()
    assert 0 < report_of(out)["left"] < 40
    with one_process(data=tmp_path / "data") as service:
        done = CommandLine(service.url, tmp_path).run("batch", file, "-o", out)
        assert done.exit_code == 0, done.output
        jobs = CommandLine(service.url, tmp_path).document("jobs", "--limit", 100)
    assert len(list(out.glob("*.wav"))) == len(jobs) == 40


def test_a_file_that_cannot_be_written_ends_the_batch_and_loses_nothing(cli: CommandLine) -> None:
    """As if the disk was full: what is in the way of a take is a folder."""
    file, out = write_songs(cli.folder, [{"caption": "one"}]), cli.folder / "out"
    (out / "0001-one-1.wav").mkdir(parents=True)
    done = cli.run("batch", file, "-o", out)
    assert done.exit_code == 1 and "Is a directory" in done.stderr
    assert "the same command goes on with the batch" in done.stderr
    ended = cli.document("batch", file, "-o", out, status=1)
    assert ended["code"] == "download_failed" and "Is a directory" in ended["error"]
    (job_id,) = (result["job_id"] for result in report_of(out)["results"])
    (out / "0001-one-1.wav").rmdir()
    assert cli.document("batch", file, "-o", out)["results"][0]["job_id"] == job_id


def test_what_may_come_twice_after_a_day_is_named(cli: CommandLine) -> None:
    """Cut off while a song was asked for, and continued when the service has forgotten the key."""
    file, out = write_songs(cli.folder, [{"caption": "a"}, {"caption": "b"}]), cli.folder / "out"
    with opened(out) as state:
        for line, hours in zip(read_lines(file), (23, 25), strict=True):
            asked = replace(state.ask(state.of(line)), asked_at=time.time() - hours * 3600)
            state.save(asked)
    done = cli.run("batch", file, "-o", out)
    assert done.exit_code == 0
    (named,) = (line for line in done.stderr.splitlines() if "a second time" in line)
    assert named.startswith("acestep-ray: line 2: ")


def test_a_terminal_shows_how_many_songs_are_made_per_hour(cli: CommandLine) -> None:
    songs = [{"caption": f"song {number}"} for number in range(5)] + [{"caption": "no", "bpm": 5}]
    file = write_songs(cli.folder, songs)
    env = environment(ACESTEP_URL=cli.url)
    words = ("batch", file, "-o", "out", "--in-flight", 1)
    with Terminal(*words, folder=cli.folder, env=env) as terminal:
        assert terminal.status() == 1
    text = terminal.text
    assert re.search(r"songs .* 3/6 .*1 at once, [\d,]+ songs/h, \d+ s left", text), text
    assert "line 6, 0006-no: bpm must be" in text and "5 of 6 songs are made, 1 failed" in text


@pytest.mark.parametrize("cancel", [False, True])
def test_an_interrupt_leaves_or_cancels_what_is_at_work(
    slow_cli: CommandLine, slow_service: OneProcess, cancel: bool
) -> None:
    songs = [{"caption": f"song {cancel} {n}", "inference_steps": 3} for n in range(3)]
    file, out = write_songs(slow_cli.folder, songs), slow_cli.folder / "out"
    before = submits(slow_service)
    option = ("--cancel-on-interrupt",) if cancel else ()
    with slow_cli.started("batch", file, "-o", out, *option) as process:
        first_line(process.stderr, "made")
        process.send_signal(signal.SIGTERM if cancel else signal.SIGINT)
        assert process.wait(60) == (143 if cancel else 130)
    interrupted = report_of(out)
    assert interrupted["made"] >= 1 and interrupted["left"] >= 1
    assert slow_cli.run("batch", file, "-o", out).exit_code == 0
    assert len(list(out.glob("*.wav"))) == 3
    anew = interrupted["left"] if cancel else 0
    assert submits(slow_service) - before >= 3 + anew
    with slow_cli.client() as client:
        ours = [one for one in client.jobs() if f"song {cancel} " in (one.state.caption or "")]
        assert len(ours) == 3 + anew
        assert sum(job.error_code == "cancelled" for job in ours) == anew


ONE = '{"caption": "x"}'


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("", (), "there is no song in"),
        (ONE + "\nx", (), "Line 2: it is not JSON"),
        (ONE, ("--in-flight", 0), "'--in-flight'"),
        (ONE, ("-o", __file__), "is a file"),
        (ONE, ("--url", "nowhere"), "--url must begin with http"),
    ],
)
def test_wrong_usage_makes_nothing(
    cli: CommandLine, text: str, words: tuple[object, ...], sentence: str
) -> None:
    file = cli.folder / "songs.jsonl"
    file.write_text(text)
    done = cli.run("batch", file, "-o", cli.folder / "out", *words)
    assert done.exit_code == 2 and sentence in done.stderr, done.output
