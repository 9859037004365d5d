"""``python -m benchmarks``: what most people want to know, on one page, within 20 minutes.

Runs the benchmarks below with few repetitions, prints one table, and writes it into
docs/performance.md (``--no-docs``: it does not). Each benchmark can be run by itself for more.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.service import FIGURES

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
PART_SECONDS = 600
"""Longest time of one benchmark."""
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


@dataclass(frozen=True)
class Part:
    """A benchmark, and the question that it answers."""

    question: str
    command: tuple[str, ...]


PARTS = (
    Part(
        "What one GPU makes, compared with a plain loop",
        ("decoder_overlap", "--generate", "0.5", "--takes", "2", "--seconds", "60", "--encoders",
         "8", "--core-seconds", "2"),
    ),
    Part("", ("decoder_overhead", "--jobs", "4", "--seconds", "10")),
    Part("What one more GPU brings", ("scale_out", "--decoders", "1", "4", "16", "--seconds", "5")),
    Part("What one person waits for, and what it costs meanwhile", ("one_job", "--idle", "20")),
    Part("What polls and submits cost", ("front_door", "--seconds", "2", "--turns", "2")),
    Part("How the front door grows", ("growth", "--seconds", "3")),
)  # fmt: skip


def main() -> int:
    """Run everything, print the page, and write it into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-docs", action="store_true", help="only print the page")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("The benchmarks need wrk: sudo apt-get install wrk")
    began, load = time.monotonic(), os.getloadavg()[0]
    lines = ["| | measured | beside, in the same run | aim |", "|---|---|---|---|"]
    failed = []
    for part in PARTS:
        print(f"\n== {' '.join(part.command)}", flush=True)
        if part.question:
            lines.append(f"| **{part.question}** | | | |")
        rows, status = _figures_of(part)
        lines += [f"| {r['what']} | {r['value']} | {r['beside']} | {r['aim']} |" for r in rows]
        if status:
            failed.append(part.command[0])
            lines.append(f"| {part.command[0]} failed | | | |")
    memory = round(psutil.virtual_memory().total / 2**30)
    page = (
        f"{datetime.date.today()}: {os.cpu_count()} cores, {memory} GiB, no GPU; load {load:.1f} "
        f"before, {os.getloadavg()[0]:.1f} at the end; {(time.monotonic() - began) / 60:.0f} "
        "minutes.\n\n" + "\n".join(lines)
    )
    print(f"\n{page}")
    if not options.no_docs and not failed:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{page}\n{END}{rest.split(END)[1]}")
        print(f"\nwritten into {PAGE}")
    return 1 if failed else 0


def _figures_of(part: Part) -> tuple[list[dict[str, str]], int]:
    """What a benchmark found, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        name, *arguments = part.command
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        environment = {**os.environ, FIGURES: str(file)}
        try:
            limit = PART_SECONDS
            status = subprocess.run(command, env=environment, timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"{name} was stopped after {PART_SECONDS} s")
            status = 1
        rows = file.read_text().splitlines() if file.exists() else []
        return [json.loads(row) for row in rows], status


if __name__ == "__main__":
    sys.exit(main())
