"""jobs, show, cancel, download, models; and the exit status of every kind of end."""

import json
from pathlib import Path

import pytest

from tests.one_process import one_process
from tests.unit.cli.commands import CommandLine
from tests.unit.client.hostile import hostile, plain

NOBODY = "550e8400-e29b-41d4-a716-446655440000"


def test_a_job_that_nobody_waited_for_is_found_and_fetched(cli: CommandLine) -> None:
    submitted = cli.run("generate", "a\x1b[31m tune\n by the sea", "--duration", 2, "--no-wait")
    job_id = submitted.stdout.strip()
    listed = cli.run("jobs").stdout.splitlines()
    assert listed[0].split() == ["JOB", "CREATED", "STATE", "TASK", "TAKES", "CAPTION"]
    assert listed[1].startswith(job_id) and "text2music" in listed[1]
    assert listed[1].rstrip().endswith("a [31m tune by the sea"), "no terminal obeys a caption"
    fetched = cli.document("download", job_id, "-o", cli.folder)
    assert [Path(file).exists() for file in fetched["files"]] == [True, True]
    (entry,) = cli.document("jobs", "--limit", 1, "--status", "succeeded")
    assert entry["job_id"] == job_id


def test_a_filter_that_is_not_known_is_refused_by_its_option(cli: CommandLine) -> None:
    done = cli.run("jobs", "--error-code", "tired")
    assert done.exit_code == 2 and done.stderr.startswith("acestep-ray: --error-code must be")


def test_a_cancelled_job_is_a_failed_one(slow_cli: CommandLine) -> None:
    ids = [slow_cli.run("generate", "x", "--no-wait").stdout.strip() for _ in range(2)]
    done = slow_cli.run("cancel", *ids)
    assert done.stdout.splitlines() == [f"{job_id} cancelled" for job_id in ids]
    assert slow_cli.run("cancel", ids[0]).exit_code == 0, "cancelled again"
    fetched = slow_cli.run("download", ids[0], "-o", slow_cli.folder)
    assert fetched.exit_code == 1 and "cancelled" in fetched.stderr
    error = slow_cli.document("download", ids[1], "-o", slow_cli.folder, status=1)
    assert (error["code"], error["exit_status"]) == ("cancelled", 1)
    found = slow_cli.document("jobs", "--error-code", "cancelled")
    assert {job["job_id"] for job in found} >= set(ids)
    assert "state      cancelled\n" in slow_cli.run("show", ids[0]).stdout


def test_what_has_ended_cannot_be_cancelled(cli: CommandLine) -> None:
    made = cli.document("generate", "x", "--duration", 2, "-o", cli.folder)
    done = cli.run("cancel", made["job_id"])
    assert done.exit_code == 2 and done.stdout == ""


def test_one_job_that_cannot_be_cancelled_does_not_save_the_others(slow_cli: CommandLine) -> None:
    first, second = (slow_cli.run("generate", "x", "--no-wait").stdout.strip() for _ in range(2))
    done = slow_cli.run("cancel", first, NOBODY, second)
    assert done.exit_code == 5
    assert done.stdout.splitlines() == [f"{first} cancelled", f"{second} cancelled"]
    assert done.stderr == f"acestep-ray: {NOBODY}: There is no such job.\n"
    document = slow_cli.document("cancel", first, NOBODY, second, status=5)
    assert document["error"] == "1 of 3 jobs are not cancelled."
    assert (document["code"], document["exit_status"]) == ("job_not_found", 5)
    assert [job["job_id"] for job in document["jobs"]] == [first, NOBODY, second]
    assert [job.get("error_code") or job["code"] for job in document["jobs"]] == [
        *("cancelled", "job_not_found", "cancelled")
    ]


def test_a_service_that_is_not_there_is_not_asked_for_each_job(cli: CommandLine) -> None:
    nowhere = ("--url", "http://127.0.0.1:9", "--patience", 0)
    done = cli.run("cancel", NOBODY, NOBODY[::-1], *nowhere)
    assert done.exit_code == 3 and len(done.stderr.splitlines()) == 1
    document = cli.document("cancel", NOBODY, NOBODY[::-1], *nowhere, status=3)
    assert document["error"] == "2 of 2 jobs are not cancelled."


def test_a_job_that_waits_or_works_shows_how_far_it_is(slow_cli: CommandLine) -> None:
    ids = [slow_cli.run("generate", "x", "--no-wait").stdout.strip() for _ in range(5)]
    shown = slow_cli.run("show", ids[-1]).stdout
    assert "state      queued, position " in shown and " left" in shown
    listed = slow_cli.run("jobs").stdout
    assert "queued, position" in listed
    slow_cli.run("cancel", *ids)


def test_models_show_what_can_be_asked_for(cli: CommandLine) -> None:
    shown = cli.run("models").stdout
    for words in ("mock (default)", "acestep-5Hz-lm-1.7B", "repaint", "flac", "up to 600 s", "zh"):
        assert words in shown
    assert cli.document("models")["limits"]["batch_size"] == 8


@pytest.mark.parametrize("command", ["show", "cancel", "download"])
def test_a_job_that_is_not_there_has_a_status_of_its_own(cli: CommandLine, command: str) -> None:
    done = cli.run(command, NOBODY)
    assert done.exit_code == 5 and done.stderr == "acestep-ray: There is no such job.\n"


@pytest.mark.parametrize(
    "words", [("jobs",), ("models",), ("generate", "x"), ("show", NOBODY), ("cancel", NOBODY)]
)
def test_no_service_has_a_status_of_its_own(
    cli: CommandLine, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cli.folder)
    nowhere = ("--url", "http://127.0.0.1:9", "--patience", 0)
    done = cli.run(*words, *nowhere)
    assert done.exit_code == 3
    assert done.stderr.startswith("acestep-ray: No service can be reached at http://127.0.0.1:9 (")
    for remedy in ("acestep-ray serve", "ACESTEP_URL", "--url"):
        assert remedy in done.stderr
    document = cli.document(*words, *nowhere, status=3)
    assert document["code"] == "connection_failed" and "--url" in document["error"]


@pytest.mark.parametrize("command", ["jobs", "models", "show", "cancel", "download"])
def test_a_service_that_starts_is_not_a_job_that_is_missing(
    cli: CommandLine, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cli.folder)
    words = (command, *([NOBODY] if command in ("show", "cancel", "download") else []))
    with hostile(plain(404)) as proxy:
        done = cli.run(*words, "--patience", 0, url=proxy.url)
    assert done.exit_code == 3, done.output
    assert done.stderr == (
        "acestep-ray: No acestep-ray service answers at this address (404 Not Found): it is "
        "starting, or the address is another server's. Check ACESTEP_URL, or --url.\n"
    )


def test_a_page_of_the_service_is_not_its_address(cli: CommandLine) -> None:
    done = cli.run("show", NOBODY, "--url", f"{cli.url}/docs")
    assert done.exit_code == 3
    assert f"{cli.url}/docs is not the address of an acestep-ray service" in done.stderr
    assert "--url" in done.stderr
    assert cli.run("show", f"{NOBODY}/2").exit_code == 5


def test_a_service_with_a_key(cli: CommandLine, tmp_path: Path) -> None:
    with one_process(data=tmp_path, api_key="k") as service:
        for key in ((), ("--api-key", "wrong")):
            done = cli.run("jobs", *key, url=service.url)
            assert done.exit_code == 4 and "Authorization" not in done.stderr
            assert "ACESTEP_API_KEY" in done.stderr and "--api-key" in done.stderr
        assert cli.run("jobs", "--api-key", "k", url=service.url).exit_code == 0


def test_a_full_queue_and_engines_that_are_not_up(cli: CommandLine, tmp_path: Path) -> None:
    slow = {"step_seconds": 1}
    with one_process(data=tmp_path / "a", limits={"queue": 1}, mock=slow) as full:
        words = ("generate", "x", "--no-wait", "--patience", 0)
        while (done := cli.run(*words, url=full.url)).exit_code == 0:
            pass
        assert done.exit_code == 6 and "queue" in done.stderr
        waiting = json.loads(cli.run("jobs", "--json", url=full.url).stdout)
        cli.run("cancel", *(job["job_id"] for job in waiting), url=full.url)
    with one_process(data=tmp_path / "b", engines=False) as new:
        assert cli.run(*words, url=new.url).exit_code == 3
