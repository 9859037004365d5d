"""Keeps the service up: starts a Ray node, and another one when it has died."""

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException

from acestep_ray.ray_node import RayNode
from acestep_ray.settings import Restarts
from acestep_ray.terminal import say

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.25
LONGEST_PAUSE = 60.0
HEALTH_EVERY = 10.0
"""Seconds between two requests of /health."""
HEALTH_SECONDS = 10.0
"""Longest that one waits for its answer."""
MOST_UNANSWERED = 30
"""So many requests of /health in a row, five minutes at least: what Ray and Serve mend by
themselves is back within seconds, on a busy machine within a minute or two. Requests are counted
instead of seconds, for the machine may have slept."""
STARTING = "the application is starting"
get = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""urlopen without HTTP_PROXY: what runs here is not reached through it."""


def keep_serving(new_node: Callable[[], RayNode], url: str, restarts: Restarts) -> int:
    """Run one node after another until a signal, or until they die too often.

    Answers the exit status: 0 after a signal, 1 where the first start failed or it gave up.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    node = new_node()
    deaths = 0
    try:
        say("starting Ray and the application (10 to 30 seconds) …")
        while True:
            why, seconds_up = _run(node, url)
            left = _end(node)
            node.log.let_go()
            if seconds_up is None:
                why = node.log.faults[0] if node.log.faults else why
                why = f"the application failed to start: {why}"
                if not deaths:
                    say(why)
                    return 1
            else:
                why = f"{why}, and the service with it"
            deaths = 1 if (seconds_up or 0) >= restarts.healthy_seconds else deaths + 1
            if left:
                say(f"{why}; it cannot be started anew while processes {left} do not end")
                return 1
            if deaths > restarts.limit:
                say(f"{why}; giving up{_after(deaths)}. Jobs that have not ended are kept.")
                return 1
            pause = min(LONGEST_PAUSE, 2.0 ** (deaths - 1))
            say(f"{why}; starting anew in {pause:g} s, jobs that have not ended run on then")
            time.sleep(pause)
            node = new_node()
    except KeyboardInterrupt:
        say("stopping; jobs that have not ended are kept and run at the next start")
        if left := node.end():
            say(f"processes {left} do not end")
            return 1
        return 0


def _run(node: RayNode, url: str) -> tuple[str, float | None]:
    """Start the node and wait for its death: what died, and how long it was ready before, seconds;
    None where it never was."""
    try:
        with _uninterrupted():
            node.start()
    except OSError as error:
        return str(error), None
    if why := _until_ready(node, url):
        return why, None
    began = time.monotonic()
    node.log.started()
    return _until_dead(node, url), time.monotonic() - began


def _end(node: RayNode) -> list[int]:
    with _uninterrupted():
        return node.end()


def _until_ready(node: RayNode, url: str) -> str | None:
    """Say what is still missing, when it changes; why it came to nothing, or None when ready."""
    said: list[str] = []
    while True:
        if node.log.failed.is_set():
            return "the lines above say why"
        if why := node.death():
            return f"{why}; the lines above say why"
        try:
            with get(f"{url}/ready", timeout=5) as answer:
                json.load(answer)
            say(f"ready: {url}  (try the curl lines of the README; API page: {url}/docs)")
            return None
        except urllib.error.HTTPError as error:
            # 503 of ours says why; a plain 404 is Serve's proxy, whose application still comes up.
            news = _reasons(error) if error.code == 503 else STARTING
        except (OSError, HTTPException):
            news = STARTING if STARTING in said else "Ray is starting"
        if news not in said:
            say(f"{news} …")
            said.append(news)
        time.sleep(POLL_SECONDS)


def _reasons(error: urllib.error.HTTPError) -> str:
    try:
        document = json.load(error)
        return " ".join(document.get("reasons") or [document["detail"]])
    except (ValueError, KeyError, AttributeError):
        return STARTING


def _until_dead(node: RayNode, url: str) -> str:
    """Watch the node; what of it has died.

    Processes tell it at once. What Ray and Serve start again by themselves is left to them, unless
    the service stays away for so long that nothing will come of it.
    """
    unanswered = 0
    ask_at = time.monotonic() + HEALTH_EVERY
    while True:
        if why := node.death():
            return why
        for part in node.lost():
            say(f"Ray's {part} has died; the service goes on without it")
        if time.monotonic() >= ask_at:
            unanswered = 0 if _answers(url) else unanswered + 1
            if unanswered == MOST_UNANSWERED:
                return f"/health has not answered {unanswered} times in a row"
            ask_at = time.monotonic() + HEALTH_EVERY
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    """Whether the service does; a 404 or 503 is Serve's proxy, with no service behind it."""
    try:
        with get(f"{url}/health", timeout=HEALTH_SECONDS):
            return True
    except (OSError, HTTPException):
        return False


def _after(deaths: int) -> str:
    return f" after {deaths} times" if deaths > 1 else ""


def _interrupt(number: int, frame: object) -> None:
    """Stop. Whoever sends a signal twice means it once."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put signals off to the end of the block: processes are started, or ended, as a whole."""
    came: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        if came:
            _interrupt(came[0], None)
