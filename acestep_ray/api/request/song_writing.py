"""Whether the language model writes the song's text: sample_query, sample_mode, use_format."""

from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.planner.duration import is_sung
from acestep_ray.planner.protocol import Writing

_WRITE_IT = "send caption, and lyrics for what is sung"


def writing_field(request: GenerateRequest) -> str:
    """The field that asks for a text of the language model; empty if none does."""
    if request.sample_query.strip():
        return "sample_query"
    if request.sample_mode:
        return "sample_mode"
    return "use_format" if request.use_format else ""


def writing_of(
    request: GenerateRequest, has_codes: bool, found: ValidationReport
) -> Writing | None:
    """What the language model writes. None if nothing was asked for, or if it was refused: without
    its text it would be another song, so it is never left out with a mere warning."""
    asked = writing_field(request)
    sample = asked not in ("", "use_format")
    if request.instrumental and not sample and is_sung(request.lyrics):
        found.refuse(
            "instrumental",
            "instrumental contradicts lyrics: leave lyrics empty for a song without words.",
            "false where lyrics are sent",
        )
    if not asked or _refused(asked, request, has_codes, found):
        return None
    if not sample:
        return Writing(kind="format")
    if request.use_format:
        found.warn(f"use_format is not used: the LM writes the text from {asked}, in that form.")
    return Writing(
        kind="sample",
        query=request.sample_query.strip(),
        # Lyrics that are not sung are "[Instrumental]", which asks for a song without words.
        instrumental=request.instrumental or bool(request.lyrics.strip()),
    )


def _refused(
    asked: str, request: GenerateRequest, has_codes: bool, found: ValidationReport
) -> bool:
    """Refuse a text that cannot be written, or that would replace what was sent."""
    if request.task != "text2music":
        found.refuse(
            asked,
            f"{asked} is for text2music only: the LM writes nothing for {request.task}; "
            f"{_WRITE_IT}.",
            f"left out for task_type {request.task}",
        )
    elif request.flow_edit_morph:
        found.refuse(
            asked,
            f"{asked} contradicts flow_edit_morph, which moves a source to your own texts; "
            f"{_WRITE_IT}.",
            "left out where flow_edit_morph is true",
        )
    elif has_codes:
        found.refuse(
            asked,
            f"{asked} contradicts audio_code_string: the codes are of a song that is written; "
            f"{_WRITE_IT}.",
            "left out where audio_code_string is sent",
        )
    elif asked != "use_format" and (given := _texts(request)):
        found.refuse(
            asked,
            f"{asked} contradicts {' and '.join(given)}: the LM writes caption and lyrics from the "
            "description; send either.",
            "left out where caption or lyrics are sent",
        )
    else:
        return False
    return True


def _texts(request: GenerateRequest) -> list[str]:
    """Names of the texts that were sent and that a sample would replace."""
    texts = {"caption": bool(request.caption.strip()), "lyrics": is_sung(request.lyrics)}
    return [name for name, there in texts.items() if there]
