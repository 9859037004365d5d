"""Whether a plan fits the deployed LM's context, known before the job is queued."""

import logging
from functools import cached_property

from acestep_ray.errors import CheckpointError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.prepared_request import make_brief
from acestep_ray.planner.protocol import PlannerError, PlanRequest
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


class PlanFit:
    """Reads the LM's tokenizer at its first question."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _tokenizer(self) -> LmTokenizer | None:
        """All 5Hz LMs have the same."""
        try:
            return LmTokenizer.load(find_lm(self._settings.checkpoints))
        except (CheckpointError, ValueError, ImportError) as error:
            # A door on a machine without the checkpoints: the planner itself refuses, later.
            logger.warning("Prompts are not measured here before they are queued: %s", error)
            return None

    def refusal(self, request: PlanRequest) -> str:
        """Why the request cannot be planned, a sentence; empty when it can. Blocking."""
        if self._tokenizer is None:
            return ""
        try:
            make_brief(request, self._tokenizer, self._settings.lm.context)
        except PlannerError as error:
            return str(error)
        return ""
