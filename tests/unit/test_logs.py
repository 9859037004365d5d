"""Every line says what it is about, as text and as JSON."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest

from acestep_ray.logs import JsonFormatter, set_up_logs
from acestep_ray.settings import Logs
from acestep_ray.work_context import work_for

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OWN = logging.getLogger("acestep_ray.jobs.x")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "acestep_ray", "deployments", "ray")]
    before = [(one, one.level, list(one.handlers)) for one in loggers]
    yield
    logging.captureWarnings(False)
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers[:] = handlers


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines(capsys)]


def test_a_line_of_a_job_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Logs(format="json"), "Runner")
    with work_for(job_id="job", attempt=2, request_id="r-1", trace=TRACE):
        OWN.info("It %s.", "runs")
    (line,) = objects(capsys)
    assert str(line.pop("time")).endswith("Z") and line.pop("pid")
    assert line == {
        "level": "INFO",
        "process": "Runner",
        "logger": "acestep_ray.jobs.x",
        "message": "It runs.",
        "job_id": "job",
        "attempt": 2,
        "request_id": "r-1",
        "trace_id": TRACE[3:35],
    }


def test_a_line_of_a_job_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Logs(), "Runner")
    with work_for(job_id="job", attempt=0, request_id="r-1"):
        OWN.warning("Lost.")
    (line,) = lines(capsys)
    assert line.startswith("WARNING 2")
    assert line.endswith("Runner acestep_ray.jobs.x job_id=job attempt=0 request_id=r-1 -- Lost.")


def test_a_line_about_nothing_in_particular_has_no_ids(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Logs(), "Runner")
    OWN.info("Up.")
    assert lines(capsys)[0].endswith("Runner acestep_ray.jobs.x -- Up.")


def test_half_a_character_is_logged_as_an_escape() -> None:
    """Not by a logger: pytest could not send the line to its main process."""
    record = logging.makeLogRecord({"msg": "badly \udcff"})
    assert '"message": "badly \\udcff"' in JsonFormatter("Runner").format(record)


def test_a_traceback_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Logs(format="json"), "Runner")
    try:
        raise KeyError("no such thing")
    except KeyError:
        OWN.exception("Failed\nbadly")
    (line,) = objects(capsys)
    assert line["message"] == "Failed\nbadly"
    assert "KeyError: 'no such thing'" in str(line["exception"])


def test_libraries_log_from_warning_on_and_the_service_as_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs(Logs(level="debug"), "Runner")
    for logger in (OWN, logging.getLogger("deployments.x"), logging.getLogger("some.library")):
        logger.debug("debug of %s", logger.name)
        logger.warning("warning of %s", logger.name)
    text = "\n".join(lines(capsys))
    assert "debug of acestep_ray.jobs.x" in text and "debug of deployments.x" in text
    assert "debug of some.library" not in text and "warning of some.library" in text
    set_up_logs(Logs(level="error"), "Runner")
    OWN.warning("not shown")
    assert lines(capsys) == []


def test_setting_up_twice_does_not_log_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        set_up_logs(Logs(), "Runner")
    OWN.warning("once")
    assert len(lines(capsys)) == 1


def test_lines_of_ray_and_python_warnings_have_the_same_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = logging.getLogger("ray")
    monkeypatch.setattr(ray, "propagate", False)  # as Ray does
    handler = logging.StreamHandler(sys.stderr)
    ray.addHandler(handler)
    try:
        set_up_logs(Logs(format="json"), "Runner")
        ray.warning("from Ray", extra={"request_id": "of-serve"})
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("something is old", stacklevel=1)
    finally:
        ray.removeHandler(handler)
    found = objects(capsys)
    assert [line["logger"] for line in found] == ["ray", "py.warnings"]
    assert found[0]["request_id"] == "of-serve" and "something is old" in str(found[1]["message"])
