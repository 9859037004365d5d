"""What is decided before the codes are written: metadata, length, and the CoT that contains them.

The same for every engine: the user's values are used, and the LM's values for the other fields.
"""

from dataclasses import dataclass, replace

from acestep_ray.planner.duration import choose_duration
from acestep_ray.planner.grammar import Given, parse
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.protocol import Metadata, PlannerError, PlanRequest
from acestep_ray.settings import Lyrics


@dataclass(frozen=True)
class Outline:
    """A song before its codes."""

    metadata: Metadata
    seconds: float
    cot: Given


def needs_metadata(given: Given) -> bool:
    """Whether the LM has metadata to write: not if the user gave all that a song needs."""
    return not (given.bpm and given.duration and given.keyscale and given.timesignature)


def read_metadata(text: str, given: Given) -> Metadata:
    """The metadata in a text of the LM; fields that the user gave have the user's values.

    Raises PlannerError for a text that the grammar does not allow.
    """
    fields = parse(text)
    written = {name: fields.get(name, "") for name in Metadata.model_fields}
    try:
        legal = Given(
            bpm=_integer(written["bpm"]),
            duration=_integer(written["duration"]),
            caption=str(written["caption"]) or None,
            keyscale=str(written["keyscale"]),
            language=str(written["language"]),
            timesignature=str(written["timesignature"]),
        )
    except ValueError as error:
        raise PlannerError(f"The language model's metadata are not legal: {error}.") from None
    known = {name: getattr(given, name) or getattr(legal, name) for name in written}
    missing = [name for name, value in known.items() if not value and name != "caption"]
    if missing:
        raise PlannerError(f"The language model's metadata lack {', '.join(missing)}.")
    return Metadata.model_validate(known)


def outline(
    request: PlanRequest,
    given: Given,
    written: Metadata | None,
    *,
    lyrics: Lyrics,
    default_seconds: float,
    longest: float,
) -> Outline:
    """The outline of a song. ``written``: the result of read_metadata, None if needs_metadata is
    false. ``longest``: most seconds, if the user gave no duration.

    The duration in metadata and CoT is the song's, cut to whole seconds, even if the LM wrote one
    that was too short to be used.
    """
    seconds = choose_duration(
        request.duration,
        written.duration if written else None,
        request.lyrics,
        lyrics,
        default_seconds,
        estimate=request.infer_type == "llm_dit",
        bounds=(DURATION_RANGE[0], longest),
    )
    if written:
        metadata = written.model_copy(update={"duration": int(seconds)})
        return Outline(metadata, seconds, Given.all_of(metadata))
    cot = replace(given, duration=int(seconds))
    known = {name: getattr(cot, name) for name in Metadata.model_fields}
    known["language"] = cot.language or request.vocal_language
    return Outline(Metadata.model_validate(known), seconds, cot)


def _integer(value: int | str) -> int | None:
    if isinstance(value, str) and value:
        raise ValueError(f"{value[:40]!r} is not a whole number")
    return value or None if isinstance(value, int) else None
