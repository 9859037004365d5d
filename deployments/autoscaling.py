"""Autoscaling: planners and the decoder each follow the work that waits for them in the job store.

Serve's own policy counts the requests that its handles know of, and what waits here waits in the
store (docs/adr/0012).
"""

import logging
import time
from concurrent.futures import Future
from typing import Any

import ray
from ray.serve.config import AutoscalingContext

from acestep_ray.jobs.demand import Demand, decoder_replicas, planner_replicas
from deployments.names import DECODER, NAMESPACE
from deployments.store_client import store_actors

logger = logging.getLogger("ray.serve")

POLICY = "deployments.autoscaling:FollowDemand"
"""For ``policy_function`` in an ``autoscaling_config``."""
ASK_EVERY = 1.0
"""Seconds between two questions to the job store actor."""
FORGET_AFTER = 10.0
"""Seconds after which an answer says nothing about now."""


class FollowDemand:
    """The autoscaling policy of one deployment. Bounds and delays are Serve's affair.

    ``target_seconds``: the decoders are so many that all their work that waits is done in this
    time.
    """

    def __init__(self, target_seconds: float = 60.0) -> None:
        if not target_seconds > 0:
            raise ValueError(f"target_seconds must be above 0, and is {target_seconds!r}.")
        self._target_seconds = target_seconds
        self._actor: Any = None
        self._question: Future[Demand] | None = None
        self._asked_at = float("-inf")
        self._demand = Demand()
        self._answered_at = float("-inf")
        self._complained = False

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """How many replicas there should be; as many as now while the job store does not answer.

        Called ten times a second in the Serve controller's event loop, so it waits for nothing.
        """
        now = time.monotonic()
        self._ask(now)
        if now - self._answered_at > FORGET_AFTER:
            return context.target_num_replicas, {}
        name = context.deployment_name
        if name == DECODER:
            return decoder_replicas(self._demand, name, self._target_seconds), {}
        return planner_replicas(self._demand, name), {}

    def _ask(self, now: float) -> None:
        """Take the answer to the last question, if it has come, and ask the next, if it is time."""
        if self._question is not None and self._question.done():
            question, self._question = self._question, None
            try:
                self._demand, self._answered_at = question.result(), now
                self._complained = False
            except Exception as error:
                self._failed(error)
        if self._question is not None and now - self._asked_at > FORGET_AFTER:
            self._question = self._actor = None  # it will never be answered
        if self._question is None and now - self._asked_at >= ASK_EVERY:
            self._asked_at = now
            try:
                self._actor = self._actor or _newest_store()
                self._question = self._actor.demand.remote().future()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._actor = None  # gone or replaced, perhaps: it is found anew by its name
        if not self._complained:
            reason = str(error).strip().partition("\n")[0]
            logger.info("No replica comes or goes while the job store is not heard: %s", reason)
        self._complained = True


def _newest_store() -> Any:
    found = store_actors()
    if not found:
        raise LookupError("there is no job store actor yet")
    return ray.get_actor(found[max(found)], namespace=NAMESPACE)
