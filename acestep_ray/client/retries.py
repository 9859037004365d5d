"""When a request is sent again, and after which pause."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Retries:
    """How long the client tries; all in seconds.

    ``seconds``: a request is sent again until so much time has passed since it was sent first; 0:
    never. ``outage``: how long ``wait``, ``stream`` and ``download`` go on without any answer,
    because their job is known to the service, which may be restarting. Pauses begin at
    ``first_pause`` and double up to ``longest_pause``, each shortened by chance; a ``Retry-After``
    makes them longer.
    """

    seconds: float = 30.0
    outage: float = 600.0
    first_pause: float = 0.5
    longest_pause: float = 8.0


NO_RETRIES = Retries(seconds=0, outage=0)
"""Every request is sent once."""
