"""Autoscaling: the number of planners and decoders follows the work that waits in the job store.

Serve's own policy counts the requests of its handles, but waiting jobs are in the store
(docs/adr/0012). Only requests for a song's text are at a handle alone.
"""

import logging
import math
import time
from concurrent.futures import Future
from typing import Any

import ray
from ray.serve.config import AutoscalingContext

from acestep_ray.replicas.autoscaling import AutoscalingLoad, decoder_replicas, planner_replicas
from acestep_ray.replicas.decoders import is_decoder
from deployments.job_store_client import store_actors
from deployments.names import NAMESPACE

logger = logging.getLogger("ray.serve")

POLICY = "deployments.autoscaling:FollowDemand"
"""For ``policy_function`` in an ``autoscaling_config``."""
ASK_EVERY = 1.0
"""Seconds between two requests to the job store actor."""
FORGET_AFTER = 10.0
"""Seconds after which a reply is too old."""


class FollowDemand:
    """The autoscaling policy of one deployment. Serve applies the bounds and delays.

    ``target_seconds``: there are enough decoders to do all their waiting work in this time.
    """

    def __init__(self, target_seconds: float = 60.0) -> None:
        if not target_seconds > 0:
            raise ValueError(f"target_seconds must be above 0, and is {target_seconds!r}.")
        self._target_seconds = target_seconds
        self._actor: Any = None
        self._request: Future[AutoscalingLoad] | None = None
        self._asked_at = float("-inf")
        self._load = AutoscalingLoad()
        self._answered_at = float("-inf")
        self._logged = False

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """How many replicas there should be; unchanged while the job store does not reply.

        Called ten times a second in the event loop of the Serve controller, so it never waits.
        """
        now = time.monotonic()
        self._ask(now)
        if now - self._answered_at > FORGET_AFTER:
            return context.target_num_replicas, {}
        name = context.deployment_name
        if is_decoder(name):
            return decoder_replicas(self._load, name, self._target_seconds), {}
        # Direct calls are not in the store: Serve counts those that wait for a replica.
        waiting = math.ceil(context.total_queued_requests or 0)
        return planner_replicas(self._load, name, waiting), {}

    def _ask(self, now: float) -> None:
        """Take the reply to the last request, if there is one, and send the next if it is time."""
        if self._request is not None and self._request.done():
            request, self._request = self._request, None
            try:
                self._load, self._answered_at = request.result(), now
                self._logged = False
            except Exception as error:
                self._failed(error)
        if self._request is not None and now - self._asked_at > FORGET_AFTER:
            self._request = self._actor = None  # it will never get a reply
        if self._request is None and now - self._asked_at >= ASK_EVERY:
            self._asked_at = now
            try:
                self._actor = self._actor or _newest_store()
                self._request = self._actor.load.remote().future()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._actor = None  # it may have died or been replaced: find it again by its name
        if not self._logged:
            reason = str(error).strip().partition("\n")[0]
            logger.info("Autoscaling is paused while the job store does not answer: %s", reason)
        self._logged = True


def _newest_store() -> Any:
    found = store_actors()
    if not found:
        raise LookupError("there is no job store actor yet")
    return ray.get_actor(found[max(found)], namespace=NAMESPACE)
