"""Log lines of one form in every process of the service: for people, or JSON.

A line holds which job and request it is about (work_context.py). It goes to stderr: Ray keeps that
of each process in a file, and copies it to ``acestep-ray serve``.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from acestep_ray.settings import Logs
from acestep_ray.tracing.tracer import trace_id
from acestep_ray.work_context import work_context

OWN = ("acestep_ray", "deployments")
"""Loggers whose level the settings choose."""
RAYS = ("ray", "ray.serve")
"""Loggers with handlers of their own, whose lines get the same form."""


def set_up_logs(settings: Logs, process: str) -> None:
    """Let this process log as the settings say; ``process`` is its name in the lines.

    May be called again. Handlers that others have added to the root logger stay.
    """
    formatter = _FORMATTERS[settings.format](process)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Stderr)]:
        root.removeHandler(handler)
    handler = _Stderr()
    handler.setFormatter(formatter)
    root.addHandler(handler)
    for name in OWN:
        logging.getLogger(name).setLevel(settings.level.upper())
    for name in RAYS:
        for other in logging.getLogger(name).handlers:
            if type(other) is logging.StreamHandler:
                other.setFormatter(formatter)
    logging.captureWarnings(True)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what is stderr at that time: Ray replaces it when a process starts."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """See logging.StreamHandler."""
        return sys.stderr


class TextFormatter(logging.Formatter):
    """``LEVEL TIME PROCESS LOGGER job_id=… attempt=… request_id=… -- MESSAGE``, then perhaps a
    traceback. TIME is local."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """See logging.Formatter."""
        time = self.formatTime(record)
        about = "".join(f" {name}={value}" for name, value in about_what(record).items())
        where = f"{record.levelname} {time} {self._process} {record.name}"
        return f"{where}{about} -- {record.message}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line, tracebacks included. ``time`` is UTC, as in RFC 3339."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        line: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "process": self._process,
            "pid": record.process or os.getpid(),
            "logger": record.name,
            "message": record.getMessage(),
            **about_what(record),
        }
        if trace := trace_id(work_context().trace):
            line["trace_id"] = trace
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str)


def about_what(record: logging.LogRecord) -> dict[str, object]:
    """The ids that a line holds: ``job_id`` and ``attempt``, ``request_id``, or none.

    They are those of the code that logs: handlers format a line at once, in its thread.
    """
    work = work_context()
    ids: dict[str, object] = {}
    if work.job_id:
        ids |= {"job_id": work.job_id, "attempt": work.attempt}
    # Serve notes the request of its own lines.
    if request_id := work.request_id or getattr(record, "request_id", ""):
        ids["request_id"] = request_id
    return ids


def rfc3339(epoch: float) -> str:
    """A time in UTC, with milliseconds."""
    at = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
    return at.replace("+00:00", "Z")


_FORMATTERS: dict[Literal["text", "json"], type[TextFormatter | JsonFormatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
}
