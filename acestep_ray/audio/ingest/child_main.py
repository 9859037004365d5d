"""Decodes one untrusted audio file. Run as a script, alone in a process, and never imported.

The file is standard input. The FLAC goes to an open descriptor, and one line of JSON to standard
output: what was read, or a code and one sentence for the client. Limits are set before the file is
touched: address space, processor time, size of what it writes; and once nothing is left to load it
may open no further file or socket. It starts for every upload, so it imports nothing but the
standard library and what lies beside it. argv[1] is the order, in JSON:

    out: int, seconds: float, cpu: float, memory: int, bytes: int     always
    kind: str, start: int, library: str                               decode it here
    run: [program, argument, ...]                                     become that program instead

The program finds ``out`` as its standard output (where it is -1, there is none), and its standard
error is our output. Beside these it may have one file open: the input, by the name of
its descriptor.
"""

import ctypes
import json
import math
import os
import resource
import sys
from typing import Any

# The package that this script is a part of. (Importing pathlib would take longer.)
sys.path.insert(0, __file__.rsplit("/", 4)[0])

PR_SET_NO_NEW_PRIVS = 38
RUN_FILES = 4
"""Standard input, output and error, and one more."""


def main() -> None:
    order = json.loads(sys.argv[1])
    if "run" in order:
        confine(order)
        run(order)
    # Only here: another program has no use for it.
    from acestep_ray.audio.ingest.decode import decode  # noqa: PLC0415
    from acestep_ray.audio.ingest.sndfile import Sndfile  # noqa: PLC0415

    sndfile = Sndfile(order["library"])
    confine(order)
    sys.stdout.write(json.dumps(decode(order, sndfile)))


def confine(order: dict[str, Any]) -> None:
    cpu = math.ceil(order["cpu"])
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_AS: (order["memory"], order["memory"]),
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        resource.RLIMIT_FSIZE: (order["bytes"], order["bytes"]),
    }
    free = os.dup(0)  # the lowest number that is free; from here on every opening fails
    os.close(free)
    limits[resource.RLIMIT_NOFILE] = (free, free)
    if "run" in order:  # else than those it has, one file at a time: its libraries, then the input
        limits[resource.RLIMIT_NOFILE] = (RUN_FILES, RUN_FILES)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, values in limits.items():
        resource.setrlimit(limit, values)


def run(order: dict[str, Any]) -> None:
    """Become the program of the order."""
    os.dup2(1, 2)
    if order["out"] >= 0:
        os.dup2(order["out"], 1)
    os.closerange(3, max(3, order["out"]) + 1)
    os.execv(order["run"][0], order["run"])


if __name__ == "__main__":
    main()
