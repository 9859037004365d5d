"""Output for the operator, whose reader may be gone."""

import os
import sys
from typing import TextIO


def show_line(line: str) -> None:
    """Show a line of the launcher."""
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
