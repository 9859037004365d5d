"""When a request is sent again, and after which pause."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Retries:
    """How long the client tries; all in seconds.

    ``seconds``: a request is sent again until so much time has passed since it was sent first; 0:
    never. ``outage``: how long ``wait``, ``stream`` and ``download`` go on without any answer,
    because their job is known to the service, which may be restarting. Pauses begin at
    ``first_pause`` and double up to ``longest_pause``, each shortened by up to a half by chance; a
    ``Retry-After`` makes them longer.
    """

    seconds: float = 30.0
    outage: float = 600.0
    first_pause: float = 0.5
    longest_pause: float = 8.0


DEFAULT_RETRIES = Retries()
NO_RETRIES = Retries(seconds=0, outage=0)
"""Every request is sent once."""


class Tries:
    """The tries of one request, or of one connection that is opened again and again, within so many
    ``seconds``. ``count``: how many there have been."""

    def __init__(self, retries: Retries, seconds: float) -> None:
        self._retries = retries
        self._seconds = seconds
        self.count = 0
        self.succeeded()

    def succeeded(self) -> None:
        """Something was received: the time and the pauses begin anew."""
        self._began = time.monotonic()
        self._next_pause = self._retries.first_pause

    def pause(self, retry_after: float | None) -> float | None:
        """Seconds to wait before the next try; None if the time is over, or would be over before
        the server wants another try."""
        left = self._began + self._seconds - time.monotonic()
        if left <= 0 or (retry_after or 0) > left:
            return None
        pause = self._next_pause * random.uniform(0.5, 1)
        self._next_pause = min(2 * self._next_pause, self._retries.longest_pause)
        if retry_after is not None:
            # Never before the named time, and not all clients at once then.
            pause = max(pause, retry_after + random.uniform(0, self._retries.first_pause))
        return min(pause, left)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """The seconds that the header Retry-After names, as a number or as a date; None without one
    that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:  # "-0000": UTC, by RFC 5322
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
