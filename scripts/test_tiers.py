"""``test_tiers.py [ARGUMENT …]``: every test, tier by tier, and a table of what each tier took.

If a tier fails, those after it still run: one run shows every failure. The arguments are passed to
each tier's pytest.
"""

import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

GROUPS = ("--dist", "loadgroup", "--no-loadscope-reorder")
# Many unit tests wait for something: with three at a time two cores are used.
AT_A_TIME = {"unit: the library's parts": "3"}
TIERS: dict[str, tuple[str, ...]] = {
    "unit: the library's parts": ("tests/unit",),
    # The groups that take longest begin first, so that none of them is left alone at the end.
    "models: real engines, vLLM": ("tests/models/planner/vllm/engines", "tests/models"),
    "services: real and mock engines": (
        "tests/serve_real",
        "tests/cluster",
        "tests/faults",
        "tests/integration",
        "tests/e2e",
    ),
}
NO_TESTS = 5
"""pytest's exit status if no test was chosen: the arguments may cause that."""


class Runner:
    """Runs one pytest after the other; Ctrl-C and SIGTERM end it, as they end pytest itself."""

    def __init__(self) -> None:
        self.stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)

    def run(self, arguments: Sequence[str]) -> tuple[int, list[int]]:
        """pytest's exit status, and how many tests there were, failed, and were skipped."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments]
            self._process = subprocess.Popen(command)
            status = self._process.wait()
            suites = ET.parse(report).getroot().findall("testsuite") if report.exists() else []
        names = ("tests", "failures", "errors", "skipped")
        tests, failures, errors, skipped = (
            sum(int(suite.get(name, 0)) for suite in suites) for name in names
        )
        return status, [tests, failures + errors, skipped]

    def _stop(self, number: int, _: object) -> None:
        self.stopped = True
        if number == signal.SIGTERM and self._process is not None:
            self._process.send_signal(signal.SIGINT)  # Ctrl-C already sent it one


def main(*arguments: str) -> int:
    """Run all tiers, print the table, and return the exit status."""
    runner = Runner()
    rows: list[tuple[str, float, list[int], int]] = []
    for tier, own in TIERS.items():
        print(f"\n== {tier}", flush=True)
        began = time.monotonic()
        at_a_time = AT_A_TIME.get(tier, "2")
        status, counts = runner.run(["-n", at_a_time, *GROUPS, *own, *arguments])
        rows.append((tier, time.monotonic() - began, counts, status))
        if runner.stopped:
            break
    print(f"\n{'':<32}seconds   tests  failed skipped")
    for tier, seconds, counts, status in rows:
        fails = "" if status in (0, NO_TESTS) else f"  exit status {status}"
        print(f"{tier:<32}{seconds:7.0f}{''.join(f'{count:8}' for count in counts)}{fails}")
    print(f"{'':<32}{sum(row[1] for row in rows):7.0f}{sum(row[2][0] for row in rows):8}")
    passed = any(status == 0 for *_, status in rows)
    wrong = [status for *_, status in rows if status and not (status == NO_TESTS and arguments)]
    if runner.stopped:
        print("stopped: the tiers that are not listed did not run")
        return 130
    return wrong[0] if wrong else 0 if passed else NO_TESTS


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
