"""Ends a process that multiprocessing started when the one that started it is gone."""

import multiprocessing
import os
import threading
from multiprocessing import connection


def end_with_parent() -> None:
    """From now on. Does nothing in a process that has no such parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
