"""Checks, before a job is queued, whether its text and plan fit into the deployed LM's context."""

import logging
from functools import cached_property

from acestep_ray.errors import CheckpointError
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.plan_song import write_request
from acestep_ray.planner.prepared_request import prepare_request
from acestep_ray.planner.prepared_text import prepare_text
from acestep_ray.planner.protocol import PlannerError, PlanRequest
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


class PlanFit:
    """Reads the LM's tokenizer at the first check."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _tokenizer(self) -> LmTokenizer | None:
        """The tokenizer, which is the same for all 5Hz LMs; None if it cannot be read."""
        try:
            return LmTokenizer.load(find_lm(self._settings.checkpoints))
        except (CheckpointError, ValueError, ImportError) as error:
            # An ingress on a machine without the checkpoints: the planner refuses the job later.
            logger.warning("Prompts are not measured here before they are queued: %s", error)
            return None

    def refusal(self, request: PlanRequest) -> str:
        """Why the request cannot be planned, as a sentence; empty if it can. Blocks.

        A text that the LM has to write gets the room that the rest leaves, if that is enough. One
        in a better form must also fit as it was sent.
        """
        lm = self._settings.lm
        if self._tokenizer is None:
            return ""
        try:
            if request.writing:
                prepare_text(write_request(request), self._tokenizer, lm)
                if request.writing.kind == "sample":
                    request = request.model_copy(update={"caption": "", "lyrics": ""})
            prepare_request(request, self._tokenizer, lm.context)
        except PlannerError as error:
            return str(error)
        return ""
