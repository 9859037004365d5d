"""A killed planner leaves no vLLM process behind."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT, command_line, until

PROGRAM = """
import multiprocessing, os, time
from acestep_ray.planner.vllm.parent import end_with_parent

def child():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    end_with_parent()  # has no such parent, and goes on
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
"""


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, file], stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert "multiprocessing" in command_line(child)
        parent.send_signal(signal.SIGKILL)
        until(lambda: not command_line(child), "the child has outlived its parent")
