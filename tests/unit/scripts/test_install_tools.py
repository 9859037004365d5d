"""`make test` installs the programs that the tests run, or reports which it cannot, and why."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDED = ("curl", "ffmpeg", "openssl", "prometheus", "redis-server", "sox")
SHELL = ("bash", "env", "id", "mktemp", "rm", "tail")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH of a machine that has none of the programs, and whose user is root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in SHELL:
        program = shutil.which(name)
        assert program
        (folder / name).symlink_to(program)
    write(folder / "id", "echo 0")
    return folder


def write(program: Path, script: str) -> None:
    program.unlink(missing_ok=True)
    program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    program.chmod(0o755)


def install(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "install_tools.sh"],
        env={"PATH": str(path), "TMPDIR": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def with_needed(path: Path) -> None:
    for name in NEEDED:
        write(path / name, "")


def test_where_all_are_there_nothing_is_done_or_said(bare: Path) -> None:
    with_needed(bare)
    write(bare / "google-chrome", "")
    done = install(bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_installed_from_a_fresh_list_of_packages(bare: Path) -> None:
    write(bare / "curl", "")
    write(
        bare / "apt-get",
        f"""
        echo noise; echo "$@" >> {bare}/asked
        for name; do case $name in [a-z]*) {shutil.which("cp")} "$0" {bare}/$name;; esac; done""",
    )
    done = install(bare)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "== installing ffmpeg openssl prometheus redis-server sox (apt-get)\n"
        "== installing chromium (apt-get)\n"
    )
    update, installed, _, browser = (bare / "asked").read_text().splitlines()
    assert update == "update"
    assert installed.endswith("ffmpeg openssl prometheus redis-server sox")
    assert browser.endswith(" chromium")
    assert install(bare).stdout == ""


@pytest.mark.parametrize(
    ("apt_get", "user", "sentence"),
    [
        (None, 0, "there is no apt-get"),
        ("exit 0", 1000, "only root may install them: sudo apt-get install curl ffmpeg openssl"),
        ("echo Temporary failure resolving; exit 100", 0, "apt-get could not install them"),
        ("exit 0", 0, "did not bring"),
    ],
)
def test_what_cannot_be_installed_is_named_in_a_sentence(
    bare: Path, apt_get: str | None, user: int, sentence: str
) -> None:
    write(bare / "id", f"echo {user}")
    if apt_get is not None:
        write(bare / "apt-get", apt_get)
    done = install(bare)
    assert done.returncode == 1
    *before, last = done.stderr.splitlines()
    assert last.startswith(
        "acestep-ray: the tests need curl ffmpeg openssl prometheus redis-server sox, "
    )
    assert sentence in last
    assert before == (["Temporary failure resolving"] if "Temporary" in (apt_get or "") else [])
    assert not list(bare.glob("tmp*"))


@pytest.mark.parametrize(
    ("apt_get", "user", "sentence"),
    [
        (None, 0, "there is no apt-get"),
        ("exit 0", 1000, "only root may install them: sudo apt-get install chromium"),
        ("echo No such package; exit 100", 0, "apt-get could not install chromium"),
        ("exit 0", 0, "did not bring one"),
    ],
)
def test_without_a_browser_the_other_tests_can_run(
    bare: Path, apt_get: str | None, user: int, sentence: str
) -> None:
    with_needed(bare)
    write(bare / "id", f"echo {user}")
    if apt_get is not None:
        write(bare / "apt-get", apt_get)
    done = install(bare)
    assert done.returncode == 0
    *before, last = done.stderr.splitlines()
    assert last.startswith("acestep-ray: the tests of web pages need chromium or google-chrome, ")
    assert sentence in last
    assert before == (["No such package"] if "No such" in (apt_get or "") else [])
    assert not list(bare.glob("tmp*"))
