"""Output for the operator, whose reader may be gone."""

import os
import sys
from typing import TextIO

from acestep_ray.startup.json_lines import json_line


class _Form:
    """Of the lines on stderr; there is one per process, as there is one stderr."""

    json = False


def show_json() -> None:
    """From now on, show every line as a JSON object."""
    _Form.json = True


def shows_json() -> bool:
    """Whether lines are shown as JSON objects."""
    return _Form.json


def show_line(line: str, level: str = "INFO") -> None:
    """Show a line of the launcher."""
    if _Form.json:
        show(json_line(level, "acestep-ray", __name__, line))
    else:
        show(f"acestep-ray: {line}\n")


def show(text: str, stream: TextIO | None = None) -> None:
    """Write ``text`` at once to ``stream``; None: stderr.

    Without a reader (Ctrl-C ends ``tee`` first, or the terminal is gone), the launcher must still
    stop the service, without waiting: from then on nothing is shown.
    """
    stream = stream or sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
