r"""The prompts of the LM, exactly as in its training.

Every prompt is one chat frame: a system turn with an instruction, a user turn, and an assistant
turn that is left open. For audio codes the assistant turn continues after the CoT (the metadata
between ``<think>`` and ``</think>``): codes follow ``</think>\n\n`` in the same turn. Early
versions of the model's own server closed the turn before the codes; the LM was not trained on that.

Guidance leads away from the unconditional prompt. So that prompt contains nothing about the song:
only the negative prompt and an empty CoT.
"""

import re

from acestep_ray.planner.codes import format_code_string
from acestep_ray.planner.grammar import THINK, Given, cot_text

NO_USER_INPUT = "NO USER INPUT"
GENERATE = "Generate audio semantic tokens based on the given conditions:"
INSPIRE = "Expand the user's input into a more detailed and specific musical description:"
FORMAT = "Format the user's input into a more detailed and specific musical description:"
UNDERSTAND = "Understand the given musical conditions and describe the audio semantics accordingly:"
LYRICS_HEADING = "\n\n# Lyric\n"
"""Between ``</think>`` and the lyrics, if the LM writes lyrics."""
INSTRUMENTAL = "[Instrumental]"

_BEFORE_CODES = "\n\n"
_OPEN_COT = f"{THINK}\n"
# A user's text that contains the text of one of the model's own tokens would become that token.
_OWN_TOKEN = re.compile(r"<(?=\|[a-z_]+[0-9]*\|>|/?(?:think|tool_call|tool_response)>)")


def plain(text: str) -> str:
    """A user's text, with a space inserted where it has the text of one of the model's tokens."""
    return _OWN_TOKEN.sub("< ", text)


def frame(instruction: str, user: str) -> str:
    """The chat frame with an open assistant turn. ``user`` is used unchanged."""
    return (
        f"<|im_start|>system\n# Instruction\n{instruction}\n\n<|im_end|>\n"
        f"<|im_start|>user\n{user}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def song_prompt(caption: str, lyrics: str) -> str:
    """The beginning of the prompts of both phases of generation. It contains no user metadata."""
    return frame(GENERATE, f"# Caption\n{plain(caption)}\n\n# Lyric\n{plain(lyrics)}\n")


def metadata_prompt(caption: str, lyrics: str) -> str:
    """For the metadata phase: the LM continues after ``<think>``, by ``grammar.body_regex``."""
    return f"{song_prompt(caption, lyrics)}{_OPEN_COT}"


def codes_prompt(caption: str, lyrics: str, cot: Given) -> str:
    """For the codes phase, conditional. ``caption`` is the user's; the LM's is in the CoT."""
    return f"{song_prompt(caption, lyrics)}{cot_text(cot)}{_BEFORE_CODES}"


def has_content(negative_prompt: str) -> bool:
    """Whether it is neither blank nor the text that means "no negative prompt"."""
    return negative_prompt.strip().upper() not in ("", NO_USER_INPUT)


def unconditional_prompt(negative_prompt: str) -> str:
    """For the codes phase, what guidance leads away from: the negative prompt, if there is one, and
    an empty CoT."""
    user = plain(negative_prompt) if has_content(negative_prompt) else NO_USER_INPUT
    return f"{frame(GENERATE, user)}{cot_text(Given())}{_BEFORE_CODES}"


def inspire_prompt(query: str, *, instrumental: bool) -> str:
    """To make a song from a short description: metadata follow, then lyrics."""
    description = plain(query) if query.strip() else NO_USER_INPUT
    user = f"{description}\n\ninstrumental: {str(instrumental).lower()}"
    return f"{frame(INSPIRE, user)}{_OPEN_COT}"


def format_prompt(caption: str, lyrics: str) -> str:
    """To improve a user's caption and lyrics: as above."""
    caption = plain(caption) if caption.strip() else NO_USER_INPUT
    lyrics = plain(lyrics) if lyrics.strip() else INSTRUMENTAL
    user = f"# Caption\n{caption}\n\n# Lyric\n{lyrics}"
    return f"{frame(FORMAT, user)}{_OPEN_COT}"


def understand_prompt(codes: tuple[int, ...]) -> str:
    """To describe audio: as above. Raises ValueError for an illegal code."""
    return f"{frame(UNDERSTAND, format_code_string(codes) or NO_USER_INPUT)}{_OPEN_COT}"


def lyrics_prompt(prompt: str, cot: Given) -> str:
    """For the lyrics: one of the three prompts above, with the metadata that the LM wrote for it,
    and the heading of the lyrics. They follow, up to the end of the turn."""
    return f"{prompt.removesuffix(_OPEN_COT)}{cot_text(cot)}{LYRICS_HEADING}"
