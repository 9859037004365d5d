"""Selects the lines of the service's log that are shown in the terminal."""

import re
import threading
from collections.abc import Iterable

from acestep_ray.startup.json_lines import SOURCE, JsonLines, is_own, level_of
from acestep_ray.startup.terminal import show, shows_json

ROUTINE = re.compile(r"\b(DEBUG|INFO|SUCC)\b|^\s*$|Cannot deregister autoscaling state")
"""Log lines of normal operation."""
RAYLET_LOG = re.compile(r"Last \d+ lines of the Raylet logs")
"""Indented lines of figures follow this line."""
FAILED = re.compile(
    r"Exception importing application|Failed to update the deployments|DEPLOY_FAILED"
)
"""Log lines after which the application never becomes ready."""
FAULT = re.compile(
    r"(?:CheckpointError|DriverError|GpuMemoryError|PortConflict|PublicWithoutKey|\.Refused|SchemaTooNew|"
    r"SettingError|SingleNodeStorage|StorageUnusable|StoreUnsuitable|"
    r"ray\.exceptions\.AuthenticationError): (.+)"
)
"""The message of a ConfigurationError, with cause and cure, or Ray's about a missing token."""
TRACEBACK = re.compile(
    r"Exception in Replica|Exception importing|Traceback \(most recent call|"
    r"Task build_serve_application failed"
)
"""First lines of tracebacks that may end with such a message."""
HELD_SECONDS = 3.0
"""Seconds that a traceback is held back: it may end with such a message."""


class LaunchLog:
    """Shows the log; without Ray's and Serve's lines of normal operation unless ``verbose``.

    While the service starts, a traceback that ends with the message of a ConfigurationError is not
    shown: the message is in ``faults``. ``failed`` is set when the application can no longer become
    ready. ``lines``: how many lines were read.
    """

    def __init__(self, verbose: bool) -> None:
        self.failed = threading.Event()
        self.faults: list[str] = []
        self.lines = 0
        self._verbose = verbose
        self._json = JsonLines() if shows_json() else None
        self._held: list[str] | None = None
        self._may_hold = not verbose
        self._lock = threading.Lock()

    def read(self, lines: Iterable[str]) -> None:
        """Read and show lines until there are no more."""
        figures = False
        for line in lines:
            self.lines += 1
            # The service's own lines report no fault: Serve does, with the error of a replica.
            own = self._json is not None and is_own(SOURCE.sub("", line, count=1))
            fault = None if own else FAULT.search(line)
            if fault:
                self.faults.append(fault[1])
            figures = figures and line.startswith(" ")
            shown = self._json.convert(line) if self._json else line
            if shown and (self._verbose or fault or not (figures or self._is_routine(line, shown))):
                self._take(shown)
            figures = figures or bool(RAYLET_LOG.search(line))
            if fault or (not own and FAILED.search(line)):
                self.failed.set()
        self.flush()

    def flush(self) -> None:
        """Show the lines that were held back, unless ``faults`` has their message."""
        with self._lock:
            if self._held and not self.faults:
                show("".join(self._held))
            self._held = None

    def started(self) -> None:
        """From now on, hold no lines back: after the start, ``faults`` is not shown any more."""
        self._may_hold = False
        self.flush()

    def _is_routine(self, line: str, shown: str) -> bool:
        if self._json is None:
            return bool(ROUTINE.search(line))
        return level_of(shown) in ("DEBUG", "INFO")

    def _take(self, line: str) -> None:
        with self._lock:
            if self._may_hold and self.faults:
                self._held = None  # the message is enough; the rest is its traceback
            elif self._held is not None:
                self._held.append(line)
            elif self._may_hold and TRACEBACK.search(line):
                self._held = [line]
                timer = threading.Timer(HELD_SECONDS, self.flush)
                timer.daemon = True
                timer.start()
            else:
                show(line)
