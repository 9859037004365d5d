"""What whoever starts the service is shown: lines on stderr, whose reader may be gone."""

import os
import sys


def say(line: str) -> None:
    """Show a line of ours."""
    show(f"acestep-ray: {line}\n")


def show(text: str) -> None:
    """Write ``text`` at once.

    Where nobody reads it any more (Ctrl-C ends ``tee`` before us, a terminal is gone), that is no
    reason to leave the service running, or to let it wait: from then on nothing is shown.
    """
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)
