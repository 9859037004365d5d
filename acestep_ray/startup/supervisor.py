"""Keeps the service running: starts a Ray node, and another one if it dies."""

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException

from acestep_ray.settings import Restarts
from acestep_ray.startup.ray_node import RayNode
from acestep_ray.startup.terminal import show_line

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.25
LONGEST_PAUSE = 60.0
HEALTH_EVERY = 10.0
"""Seconds between two requests of /health."""
HEALTH_SECONDS = 10.0
"""Longest wait for its response, in seconds."""
MOST_UNANSWERED = 30
"""After so many requests of /health in a row without a response (at least five minutes) the node is
replaced. What Ray and Serve repair by themselves works again within seconds, on a busy machine
within one or two minutes. Requests are counted, not seconds, because the machine may have slept."""
MOST_UNCHANGED = 60
"""After so many looks in a row, HEALTH_EVERY seconds apart, at a node that has no port yet, no new
process and no new line in its log (at least ten minutes), it is replaced: Ray's start waits for
something that does not come."""
NO_PROGRESS = "Ray's start makes no progress"
STARTING = "the application is starting"
get = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""urlopen without HTTP_PROXY: a service on this machine is not reached through a proxy."""


def keep_serving(new_node: Callable[[], RayNode], url: str, restarts: Restarts) -> int:
    """Run one node after another until a signal, or until they die too often.

    Returns the exit status: 0 after a signal, 1 if it gave up, or if the application failed at the
    first start: that would fail again. A part of Ray that dies while it starts is a death like any
    other: it happens on a machine that is too busy.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    node = new_node()
    deaths = 0
    try:
        show_line("starting Ray and the application (10 to 30 seconds) …")
        while True:
            why, seconds_up = _run(node, url)
            left = _end(node)
            node.log.flush()
            if seconds_up is None:
                why = node.log.faults[0] if node.log.faults else f"{why}the lines above say why"
                why = f"the application failed to start: {why}"
                if not deaths:
                    show_line(why)
                    return 1
            else:
                why = f"{why}, and the service with it"
            deaths = 1 if (seconds_up or 0) >= restarts.healthy_seconds else deaths + 1
            if left:
                show_line(f"{why}; it cannot be started again while processes {left} do not end")
                return 1
            if deaths > restarts.limit:
                show_line(f"{why}; giving up{_after(deaths)}. Jobs that have not ended are kept.")
                return 1
            pause = min(LONGEST_PAUSE, 2.0 ** (deaths - 1))
            show_line(
                f"{why}; starting again in {pause:g} s; jobs that have not ended will continue"
            )
            time.sleep(pause)
            node = new_node()
    except KeyboardInterrupt:
        show_line("stopping; jobs that have not ended are kept and run at the next start")
        if left := node.end():
            show_line(f"processes {left} do not end")
            return 1
        return 0


def _run(node: RayNode, url: str) -> tuple[str, float | None]:
    """Start the node and wait for its death. Returns what died, and for how many seconds the node
    was ready; None if the application failed to start."""
    try:
        with _uninterrupted():
            node.start()
    except OSError as error:
        return f"{error}; ", None
    if (why := _until_ready(node, url)) is not None:
        died = why == NO_PROGRESS or node.ray_died()
        if died and not (node.log.failed.is_set() or node.log.faults):
            return why, 0.0
        return f"{why}; " if why else "", None
    began = time.monotonic()
    node.log.started()
    return _until_dead(node, url), time.monotonic() - began


def _end(node: RayNode) -> list[int]:
    with _uninterrupted():
        return node.end()


def _until_ready(node: RayNode, url: str) -> str | None:
    """Wait until the service is ready, and show what it waits for. Returns what died, NO_PROGRESS,
    "" if the application reported a failure, or None once it is ready."""
    shown: list[str] = []
    seen: object = None
    unchanged = 0
    look_at = time.monotonic()
    while True:
        if node.log.failed.is_set():
            return ""
        if why := node.death():
            return why
        try:
            with get(f"{url}/ready", timeout=5) as answer:
                json.load(answer)
            show_line(f"ready: {url}  (open it in a browser; API page: {url}/docs)")
            return None
        except urllib.error.HTTPError as error:
            # The application returns 503 with reasons; before it runs, Serve's proxy returns 404.
            waits_for = _reasons(error) if error.code == 503 else STARTING
        except (OSError, HTTPException):
            waits_for = STARTING if STARTING in shown else "Ray is starting"
            if time.monotonic() >= look_at:
                signs = node.signs()
                unchanged = unchanged + 1 if signs == seen else 0
                seen, look_at = signs, time.monotonic() + HEALTH_EVERY
            if unchanged >= MOST_UNCHANGED:
                return NO_PROGRESS
        if waits_for not in shown:
            show_line(f"{waits_for} …")
            shown.append(waits_for)
        time.sleep(POLL_SECONDS)


def _reasons(error: urllib.error.HTTPError) -> str:
    try:
        document = json.load(error)
        return " ".join(document.get("reasons") or [document["detail"]])
    except (ValueError, KeyError, AttributeError):
        return STARTING


def _until_dead(node: RayNode, url: str) -> str:
    """Watch the node until it dies. Returns what has died.

    The death of a vital process is noticed at once. Ray and Serve restart the others by themselves;
    the node is given up only if the service does not respond for a long time.
    """
    unanswered = 0
    ask_at = time.monotonic() + HEALTH_EVERY
    while True:
        if why := node.death():
            return why
        for part in node.lost():
            show_line(f"Ray's {part} has died; the service goes on without it")
        if time.monotonic() >= ask_at:
            unanswered = 0 if _answers(url) else unanswered + 1
            if unanswered == MOST_UNANSWERED:
                return f"/health has not answered {unanswered} times in a row"
            ask_at = time.monotonic() + HEALTH_EVERY
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    """Whether the service responds; 404 and 503 are from Serve's proxy, without the service."""
    try:
        with get(f"{url}/health", timeout=HEALTH_SECONDS):
            return True
    except (OSError, HTTPException):
        return False


def _after(deaths: int) -> str:
    return f" after {deaths} times" if deaths > 1 else ""


def _interrupt(number: int, frame: object) -> None:
    """Stop. Further signals are ignored."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay signals to the end of the block: all processes are started, or ended, together."""
    received: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        if received:
            _interrupt(received[0], None)
