"""ffmpeg: without a good one, recordings of phones and browsers cannot be read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acestep_ray.audio import aac
from tests.unit.startup.doctor.conftest import Doctor

Program = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """The service asks ffmpeg once per process."""
    aac._options.cache_clear()
    yield
    aac._options.cache_clear()


def test_the_installed_one_does(doctor: Doctor) -> None:
    assert "ffmpeg, version" in doctor.well("ffmpeg")


def test_none_is_a_warning_that_names_what_cannot_be_read(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "cannot read M4A, AAC, WebM" in doctor.warning("ffmpeg")


def test_one_that_fails_is_a_warning(doctor: Doctor, program: Program) -> None:
    program("ffmpeg", "echo error while loading shared libraries >&2; exit 127")
    assert "ffmpeg does not run" in doctor.warning("ffmpeg")


def test_one_without_aac_is_a_warning(doctor: Doctor, program: Program) -> None:
    script = "test $2 = -version && echo ffmpeg version 7.1 || echo ' A....D opus Opus'"
    program("ffmpeg", script)
    messages = [found.message for found in doctor.check("ffmpeg")]
    assert any("built without the decoders aac, which" in message for message in messages)
    assert any("cannot write aac" in message for message in messages)


def test_one_that_needs_more_than_the_limits_allow_is_a_warning(
    doctor: Doctor, program: Program
) -> None:
    """As a script or a snap: it runs by hand, and fails for every client."""
    script = 'case "$(ulimit -v)" in unlimited) exec /usr/bin/ffmpeg "$@";; *) exit 1;; esac'
    program("ffmpeg", script)
    assert "not under the limits for reading clients' files" in doctor.warning("ffmpeg")
