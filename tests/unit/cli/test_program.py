"""The program itself: fast, without Ray, and able to explain itself."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import chdir

import pytest

from acestep_ray.cli import main
from acestep_ray.cli.app import app
from tests.unit.cli.commands import COMMAND, CommandLine, environment

NAMES = (
    *("generate", "repaint", "cover", "batch", "mcp", "jobs", "show", "cancel", "download"),
    *("models", "adapters", "serve", "doctor", "convert", "make-tiny-checkpoint", "migrate-store"),
    "download-model",
)
HEAVY = ("ray", "torch", "numpy", "fastapi", "uvicorn", "mcp", "acestep_ray.settings")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["generate", "--help"],
        ["jobs", "--url", "http://127.0.0.1:9", "--patience", "0"],
    ],
)
def test_what_talks_to_a_service_loads_nothing_of_the_service(words: list[str]) -> None:
    code = (
        f"import sys\nfrom acestep_ray.cli import main\nmain({[*words]!r})\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_help_lists_every_command_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for title in ("Songs", "Jobs", "The service", "Checkpoints and data"):
        assert f"─ {title} ─" in shown
    found = re.findall(r"^│ ([a-z][a-z-]+) {2,}\S", shown, re.MULTILINE)
    assert found == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: acestep-ray {name}" in shown
    options = re.findall(r"^│ \*? *(--[a-z-]+)(.*)│$", shown, re.MULTILINE)
    assert options and all(re.search(r"\w{3}", text) for _, text in options)


def test_every_example_in_the_help_can_be_entered(cli: CommandLine) -> None:
    """With the files that they name, and without a service: no usage is wrong."""
    for name in ("song.txt", "song.mp3"):
        (cli.folder / name).write_text("x")
    (cli.folder / "songs.jsonl").write_text('{"caption": "x"}')
    epilogs = [command.epilog for command in app.registered_commands if command.epilog]
    examples = re.findall(r"^  acestep-ray (.*)$", "\n".join(map(str, epilogs)), re.MULTILINE)
    assert len(examples) >= 7
    for example in examples:
        with chdir(cli.folder):
            done = cli.run(*shlex.split(example), "--url", "http://127.0.0.1:9", "--patience", 0)
        assert done.exit_code == 3, f"{example}\n{done.output}"


def test_no_command_is_help_and_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert "Usage: acestep-ray" in printed.out + printed.err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_shell_completes_commands_and_values() -> None:
    for typed, completion in (
        ("acestep-ray gen", "generate"),
        ("acestep-ray convert --dt", "--dtype"),
    ):
        env = environment(
            _ACESTEP_RAY_COMPLETE="complete_bash",
            COMP_WORDS=typed,
            COMP_CWORD=str(len(typed.split()) - 1),
        )
        done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, check=False)
        assert completion in done.stdout.split(), done


def test_a_reader_that_has_gone_is_no_traceback(cli: CommandLine) -> None:
    """As in `acestep-ray jobs --json | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = subprocess.run(
            [*COMMAND, "models", "--json"],
            env=environment(ACESTEP_URL=cli.url),
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
