"""What an engine has to do for a request, as token ids and bounds. The same for every engine."""

from dataclasses import dataclass

from acestep_ray.planner.context import check_context, longest_seconds
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prompts import metadata_prompt, song_prompt, unconditional_prompt
from acestep_ray.planner.protocol import PlannerError, PlanRequest
from acestep_ray.planner.song_outline import needs_metadata
from acestep_ray.planner.tokens import LmTokenizer


@dataclass(frozen=True)
class PreparedRequest:
    """A request, prepared."""

    given: Given
    metadata_prompt: list[int] | None  # None: the LM has no metadata to write
    unconditional_prompt: list[int] | None  # None: no codes, or no guidance
    with_codes: bool
    longest: float  # seconds that the LM may choose


def prepare_request(request: PlanRequest, tokenizer: LmTokenizer, context: int) -> PreparedRequest:
    """Check and prepare a request. Raises PlannerError if it cannot be planned, for example because
    it does not fit into ``context``; a song without a given duration may only be so long that it
    fits."""
    request = request.checked()
    with_codes = request.infer_type == "llm_dit"
    uncond = None
    if with_codes and request.cfg_scale > 1:
        uncond = tokenizer.encode(unconditional_prompt(request.negative_prompt))
    song = tokenizer.encode(song_prompt(request.caption, request.lyrics))
    tokens = max(len(song), len(uncond or ()))
    shortest = DURATION_RANGE[0] if request.duration is None else request.duration
    try:
        given = Given.of(request)
        check_context(tokens, shortest if with_codes else 0, context)
    except ValueError as error:
        raise PlannerError(f"The plan cannot be made: {error}.") from None
    prompt = None
    if needs_metadata(given):
        prompt = tokenizer.encode(metadata_prompt(request.caption, request.lyrics))
    longest = longest_seconds(tokens, context) if with_codes else DURATION_RANGE[1]
    return PreparedRequest(given, prompt, uncond, with_codes, min(request.max_duration, longest))
