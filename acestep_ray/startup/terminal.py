"""Output for the operator: lines on stderr, whose reader may be gone."""

import os
import sys


def show_line(line: str) -> None:
    """Show a line of the launcher."""
    show(f"acestep-ray: {line}\n")


def show(text: str) -> None:
    """Write ``text`` at once.

    Without a reader (Ctrl-C ends ``tee`` first, or the terminal is gone), the launcher must still
    stop the service, without waiting: from then on nothing is shown.
    """
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)
