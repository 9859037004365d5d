"""Installing prints little, is fast if possible, and reports what went wrong: with real uv and real
pip, and an index of two packages."""

import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.install import Progress, excerpt, fault, pip_settings, uv_environment

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip, and beside it an empty index and a folder of wheels."""
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (folder / "index").mkdir()
    (folder / "wheels").mkdir()
    for name, needs in (("song", "acestep-test-singer"), ("singer", "")):
        wheel(folder / "wheels", f"acestep-test-{name}", needs)
    return folder


def wheel(folder: Path, name: str, needs: str) -> None:
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = {
        f"{module}.py": "",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as archive:
        for file, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(file, text)


@pytest.fixture
def venv(made: Path) -> Path:
    """The virtual environment, with uv and none of the packages."""
    python = str(made / "venv" / "bin" / "python")
    names = ["acestep-test-song", "acestep-test-singer"]
    command = [python, "-m", "pip", "uninstall", "-y", *names]
    subprocess.run(command, check=True, capture_output=True)
    uv = made / "venv" / "bin" / "uv"
    uv.unlink(missing_ok=True)
    uv.symlink_to(UV)
    return made / "venv"


def environment(venv: Path, **more: str) -> dict[str, str]:
    """One in which pip searches only here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    pip = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": (venv.parent / "index").as_uri(),
        "PIP_FIND_LINKS": str(venv.parent / "wheels"),
        "PIP_RETRIES": "1",
        "UV_HTTP_RETRIES": "0",
    }
    return kept | pip | more


def install(venv: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [venv / "bin" / "python", ROOT / "scripts" / "install.py", "songs", *arguments],
        env=environment(venv, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def installed(venv: Path) -> bool:
    names = ["acestep_test_song", "acestep_test_singer"]
    code = "".join(f"import {name};" for name in names)
    command = [str(venv / "bin" / "python"), "-c", code]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def reported(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was printed, without the progress and its times."""
    return [line for line in done.stdout.splitlines() if not line.startswith("   ")]


def check_quiet(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    first, last = reported(done)
    assert first == "== installing songs"
    assert last.startswith("== installed songs in 0:")
    assert done.stderr == ""


def test_uv_installs_and_says_little(venv: Path) -> None:
    assert not installed(venv)
    check_quiet(install(venv, "acestep-test-song"))
    assert installed(venv)
    log = (venv / "install.log").read_text()
    assert "uv pip install" in log and "-m pip" not in log
    assert "acestep-test-singer==1.0" in log


def test_pip_does_it_where_it_is_set_up_as_uv_cannot_be(venv: Path) -> None:
    check_quiet(install(venv, "acestep-test-song", PIP_NO_INDEX="1"))
    assert installed(venv)
    assert "uv pip install" not in (venv / "install.log").read_text()


def test_pip_does_it_where_there_is_no_uv(venv: Path) -> None:
    (venv / "bin" / "uv").unlink()
    check_quiet(install(venv, "acestep-test-song"))
    assert installed(venv)


def test_pip_does_it_where_uv_fails(venv: Path, tmp_path: Path) -> None:
    """For example with a home folder that it cannot write to."""
    home = tmp_path / "home"
    home.write_text("")
    check_quiet(install(venv, "acestep-test-song", UV_CACHE_DIR=str(home / "cache")))
    assert installed(venv)
    assert "uv pip install" in (venv / "install.log").read_text()


def test_a_failure_is_told_in_pips_own_words(venv: Path) -> None:
    done = install(venv, "acestep-test-nothing")
    assert done.returncode == 1
    assert reported(done) == ["== installing songs"]
    words, last = done.stderr.rstrip().rsplit("\n", 1)
    assert "ERROR: No matching distribution found for acestep-test-nothing" in words
    assert len(words.splitlines()) < 5
    assert last == f"acestep-ray: songs could not be installed; all of it is in {venv}/install.log"
    assert "acestep-test-nothing" in (venv / "install.log").read_text()


def test_without_a_network_the_sentence_says_so(venv: Path) -> None:
    for gone in (None, venv / "bin" / "uv"):
        if gone:
            gone.unlink()
        done = install(venv, "acestep-test-nothing", PIP_INDEX_URL="http://127.0.0.1:9/simple")
        assert done.returncode != 0
        assert "acestep-ray: the package index cannot be reached" in done.stderr


def test_what_cannot_be_written_is_one_sentence(venv: Path) -> None:
    log = venv / "install.log"
    log.unlink(missing_ok=True)
    log.mkdir()
    done = install(venv, "acestep-test-song")
    log.rmdir()
    assert done.returncode == 1
    assert done.stderr == f"acestep-ray: Is a directory: {log}\n"


def test_on_a_terminal_one_line_says_how_far_it_is(venv: Path) -> None:
    controller, terminal = pty.openpty()
    command = [str(venv / "bin" / "python"), str(ROOT / "scripts" / "install.py"), "songs"]
    process = subprocess.Popen(
        [*command, "acestep-test-song"], env=environment(venv), stdout=terminal
    )
    assert process.wait() == 0
    os.close(terminal)
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    # A line replaces the one before it on the screen, and is removed at the end.
    left = [line.rsplit("\r\x1b[K", 1)[-1] for line in shown.split("\r\n")]
    assert left[0] == "== installing songs"
    assert left[1].startswith("== installed songs in")
    assert left[2:] == [""]


UV_SAYS = """Resolved 84 packages in 1.54s
   Building acestep-ray @ file:///clone
Downloading ray (75.6MiB)
Downloading watchfiles (400.0KiB)
 Downloaded watchfiles
"""
PIP_SAYS = """Collecting ray[serve]==2.60.0 (from acestep-ray==0.1.0)
  Downloading ray-2.60.0-cp311-cp311-manylinux2014_x86_64.whl (79.3 MB)
Collecting numpy>=1.26 (from acestep-ray==0.1.0)
  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl.metadata (6.6 kB)
"""


@pytest.mark.parametrize(
    ("output", "far"),
    [
        ("", "finding out what is needed"),
        (UV_SAYS, "downloading, 84 packages, 0 of 76 MB"),
        (f"{UV_SAYS} Downloaded ray\n", "downloading, 84 packages, 76 of 76 MB"),
        (f"{UV_SAYS}Prepared 84 packages in 2.1s\n", "unpacking, 84 packages"),
        (PIP_SAYS, "finding out what is needed, 2 packages, 79 MB"),
        (f"{PIP_SAYS}Installing collected packages: a, b, c\n", "unpacking, 3 packages"),
    ],
)
def test_how_far_it_is(output: str, far: str) -> None:
    progress = Progress()
    for line in output.splitlines(keepends=True):
        progress.read(line)
    assert str(progress) == far


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("cause: failed to copy file: No space left on device (os error 28)", "the disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("NameResolutionError: Failed to resolve 'pypi'", "cannot be reached"),
        ("ERROR: No matching distribution found for ray==2.60.0", "Linux with glibc"),
        ("ERROR: No matching distribution found for raylib", ""),
    ],
)
def test_what_an_error_means(output: str, sentence: str) -> None:
    assert sentence in fault(output) and bool(sentence) == bool(fault(output))


def test_pips_error_begins_where_it_begins() -> None:
    output = [
        "Collecting x",
        "WARNING: Retrying (Retry(total=4",
        "  error: subprocess failed",
        "  why",
    ]
    assert excerpt("\n".join(output)) == "  error: subprocess failed\n  why"
    assert excerpt("\n".join(map(str, range(40)))) == "\n".join(map(str, range(25, 40)))


def test_uv_looks_where_pip_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://of.all/simple\nfind-links = /wheels\nproxy = p\n"
        "[install]\nindex-url = https://of.install/simple\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.second/simple")
    settings = pip_settings()
    assert settings["proxy"] == "p"
    assert (
        uv_environment(settings).items()
        >= {
            "UV_DEFAULT_INDEX": "https://of.install/simple",
            "UV_FIND_LINKS": "/wheels",
            "UV_INDEX": "https://a.second/simple",
        }.items()
    )
    monkeypatch.setenv("UV_FIND_LINKS", "/mine")
    assert uv_environment(settings)["UV_FIND_LINKS"] == "/mine"
