"""`make` reports in one sentence why it cannot make a virtual environment, and what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The part of a clone that is needed to make its virtual environment."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    for file in ("Makefile", "pyproject.toml", "scripts/make_venv.sh"):
        shutil.copy(ROOT / file, folder / file)
    return folder


def own_environment() -> dict[str, str]:
    """Without the variables of the `make` that runs these tests: another would be its `make[1]`."""
    return {name: of for name, of in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS")}


def make(clone: Path, python: object = sys.executable, **environment: str) -> str:
    """The error of `make` if it fails to make the virtual environment; otherwise empty."""
    done = subprocess.run(
        ["make", "--silent", ".venv/.created", f"PYTHON={python}"],
        cwd=clone,
        env=own_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert bool(output) == bool(done.returncode), done.stderr
    return "\n".join(output)


def program(folder: Path, name: str, script: str) -> Path:
    """A Python that behaves as in the script."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_a_python_that_is_not_there(clone: Path) -> None:
    output = make(clone, "python9")
    assert output.startswith("acestep-ray: there is no program 'python9': install Python 3.11 to")


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.15"])
def test_a_python_that_ray_has_no_package_for(clone: Path, tmp_path: Path, version: str) -> None:
    bin_folder = tmp_path / "bin"
    program(bin_folder, "python3.14", "exit 0")
    python = program(bin_folder, "python", f"echo {version}")
    output = make(clone, python, PATH=f"{bin_folder}:{os.environ['PATH']}")
    assert f"is Python {version}, and Ray runs on 3.11 to 3.14: " in output
    assert output.endswith("python3.14 is here, so try make PYTHON=python3.14")
    assert not (clone / ".venv").exists()


def test_a_python_without_its_venv_module(clone: Path, tmp_path: Path) -> None:
    """As Debian splits the package."""
    script = 'case "$2" in *ensurepip*) exit 1;; *) echo 3.11;; esac'
    output = make(clone, program(tmp_path / "bin", "python", script))
    assert "sudo apt-get install python3.11-venv" in output


def test_a_folder_that_cannot_be_written(clone: Path) -> None:
    (clone / ".venv").write_text("")  # root may write into any folder, but not into a file
    assert "nothing can be written in this folder (" in make(clone)


def test_what_python_itself_says_is_shown(clone: Path, tmp_path: Path) -> None:
    script = 'case "$*" in *"-m venv"*) echo its own words >&2; exit 1;; *) echo 3.11;; esac'
    output = make(clone, program(tmp_path / "bin", "python", script))
    assert (
        output == "its own words\nacestep-ray: the virtual environment could not be made (above)."
    )


def test_it_is_made_once_and_anew_after_a_move(clone: Path, tmp_path: Path) -> None:
    python = program(
        tmp_path / "bin",
        "python",
        'case "$*" in *"-m venv"*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo >> "$4/made";;'
        " *) echo 3.11;; esac",
    )
    for _ in range(2):
        make(clone, python)
    assert (clone / ".venv" / "made").read_text() == "\n"
    moved = clone.rename(tmp_path / "moved clone")
    make(moved, python)
    assert (moved / ".venv" / "made").read_text() == "\n\n"
    (moved / ".venv" / "bin" / "python").unlink()  # as when the system's Python is replaced
    make(moved, python)
    assert (moved / ".venv" / "made").read_text() == "\n\n\n"


def test_somebody_elses_environment_is_left_alone(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".created").touch()
    (clone / ".venv").symlink_to(other)
    make(clone, "python9")
    assert [file.name for file in other.iterdir()] == [".created"]


def test_bytecode_is_stored_for_the_next_process(clone: Path) -> None:
    """A service has a dozen processes, and each would compile Ray anew."""
    show = "show: ; @printenv PYTHONDONTWRITEBYTECODE || echo stored"
    printed = subprocess.check_output(
        ["make", "--silent", f"--eval={show}", "show"],
        cwd=clone,
        env=own_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
    )
    assert printed == "stored\n"
