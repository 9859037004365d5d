"""Decodes one untrusted audio file. Run as a script, alone in a process, and never imported.

The file is standard input. The FLAC is written to an open descriptor, and one line of JSON to
standard output: what was read, or a code and one sentence for the client. Limits are set before the
file is read: address space, processor time, and size of the output. After everything is loaded, the
child may open no further file or socket. It starts for every upload, so it imports only the
standard library and the modules beside it. argv[1] is the order, in JSON:

    out: int, seconds: float, cpu: float, memory: int, bytes: int     always
    kind: str, start: int, library: str                               decode it in this process
    run: [program, argument, ...]                                     replace it by that program

The program gets ``out`` as its standard output (if it is -1, there is none), and its standard error
is our standard output. In addition it may have one file open: the input, by the name of its
descriptor.
"""

import ctypes
import json
import math
import os
import resource
import sys
from typing import Any

# The package that contains this script. (Importing pathlib would take longer.)
sys.path.append(__file__.rsplit("/", 4)[0])

PR_SET_NO_NEW_PRIVS = 38
RUN_FILES = 4
"""Standard input, output and error, and one more file."""


def main() -> None:
    order = json.loads(sys.argv[1])
    if "run" in order:
        confine(order)
        run(order)
    # Imported only in this case: another program does not need it.
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
    free = os.dup(0)  # the lowest free number; from now on every opening fails
    os.close(free)
    limits[resource.RLIMIT_NOFILE] = (free, free)
    if "run" in order:  # besides those, one file at a time: its libraries, then the input
        limits[resource.RLIMIT_NOFILE] = (RUN_FILES, RUN_FILES)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, values in limits.items():
        resource.setrlimit(limit, values)


def run(order: dict[str, Any]) -> None:
    """Replace this process by the program in the order."""
    os.dup2(1, 2)
    if order["out"] >= 0:
        os.dup2(order["out"], 1)
    os.closerange(3, max(3, order["out"]) + 1)
    os.execv(order["run"][0], order["run"])


if __name__ == "__main__":
    main()
