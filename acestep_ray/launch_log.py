"""What of the service's log is shown to who starts it."""

import re
import threading
from collections.abc import Iterable

from acestep_ray.terminal import show

ROUTINE = re.compile(r"\bINFO\b|\bSUCC\b|^\s*$|Cannot deregister autoscaling state")
"""Log lines that only tell that all is well."""
RAYLET_LOG = re.compile(r"Last \d+ lines of the Raylet logs")
"""After it come, indented, as many lines of figures."""
FAILED = re.compile(
    r"Exception importing application|Failed to update the deployments|DEPLOY_FAILED"
)
"""Log lines after which the application never comes up."""
FAULT = re.compile(
    r"(?:CheckpointError|SettingError|DoesNotFit|DataOnOneNode|StoreUnsuitable|SchemaTooNew|"
    r"ray\.exceptions\.AuthenticationError): (.+)"
)
"""A sentence that names what is wrong and the cure; of Ray's own, one of a missing token."""
TRACEBACK = re.compile(
    r"Exception in Replica|Exception importing|Traceback \(most recent call|"
    r"Task build_serve_application failed"
)
"""Where pages begin that may end in such a sentence."""
HELD_SECONDS = 3.0
"""So long a traceback is held back for the sentence that it may end in."""


class LaunchLog:
    """Passes the log on, without Ray's and Serve's news of routine unless ``verbose``.

    While the service starts, a traceback that ends in a sentence of ours is left out: ``faults``
    has the sentences. ``failed`` is set once the application will never come up.
    """

    def __init__(self, verbose: bool) -> None:
        self.failed = threading.Event()
        self.faults: list[str] = []
        self._verbose = verbose
        self._held: list[str] | None = None
        self._may_hold = not verbose
        self._lock = threading.Lock()

    def read(self, lines: Iterable[str]) -> None:
        """Pass lines on until there are no more."""
        figures = False
        for line in lines:
            fault = FAULT.search(line)
            if fault:
                self.faults.append(fault[1])
            figures = figures and line.startswith(" ")
            if self._verbose or fault or not (figures or ROUTINE.search(line)):
                self._take(line)
            figures = figures or bool(RAYLET_LOG.search(line))
            if fault or FAILED.search(line):
                self.failed.set()
        self.let_go()

    def let_go(self) -> None:
        """Show what was held back, unless a sentence has told it."""
        with self._lock:
            if self._held and not self.faults:
                show("".join(self._held))
            self._held = None

    def started(self) -> None:
        """From now on, hold nothing back: nobody else would tell."""
        self._may_hold = False
        self.let_go()

    def _take(self, line: str) -> None:
        with self._lock:
            if self._may_hold and self.faults:
                self._held = None  # all is told, and the rest is how it came about
            elif self._held is not None:
                self._held.append(line)
            elif self._may_hold and TRACEBACK.search(line):
                self._held = [line]
                timer = threading.Timer(HELD_SECONDS, self.let_go)
                timer.daemon = True
                timer.start()
            else:
                show(line)
