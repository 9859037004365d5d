"""The texts that the model reads: instruction, caption, metadata and lyrics; where they are cut."""

import re
from dataclasses import dataclass

from diffusers import AceStepPipeline
from diffusers.pipelines.ace_step.pipeline_ace_step import SFT_GEN_PROMPT

from acestep_ray.decoder.instruction import own_instruction
from acestep_ray.decoder.protocol import COVER_TASKS, DecodeRequest

TEXT_TOKENS = 256
LYRIC_TOKENS = 2048
"""The most tokens that the model reads of each text; the rest is cut off at the end."""

_CAPTION_IN_TEMPLATE = re.compile(r"#\s*Caption\s*\n(.*?)(?:\n\s*#\s*Metas|$)", re.DOTALL)
_TAIL = 24


@dataclass(frozen=True)
class Prompt:
    """What ``AceStepPipeline.encode_prompt`` takes for one piece."""

    instruction: str
    caption: str
    lyrics: str
    vocal_language: str
    seconds: float
    bpm: int | None
    key_scale: str
    time_signature: str

    @classmethod
    def of(
        cls, request: DecodeRequest, instruction: str, seconds: float, *, lego_sft: bool = False
    ) -> "Prompt":
        """The prompt for a piece that is described as ``seconds`` long, whatever was requested.
        ``lego_sft``: for a model whose captions have a form of their own."""
        caption = _without_template(request.caption)
        return cls(
            instruction if instruction.endswith(":") else instruction + ":",
            _of_track(request, caption, instruction) if lego_sft else caption,
            request.lyrics,
            request.vocal_language,
            seconds,
            request.bpm,
            request.key_scale,
            request.time_signature,
        )

    def texts(self, pipeline: AceStepPipeline) -> tuple[str, str]:
        """The prompt as the text encoder and the lyric encoder read it."""
        text, lyrics = pipeline._format_prompt(
            prompt=self.caption,
            lyrics=self.lyrics,
            vocal_language=self.vocal_language,
            audio_duration=self.seconds,
            instruction=self.instruction,
            bpm=self.bpm,
            keyscale=self.key_scale,
            timesignature=self.time_signature,
        )
        return text, lyrics

    def cuts(self, pipeline: AceStepPipeline) -> tuple[str, ...]:
        """One sentence each for caption and lyrics that are longer than the model reads."""
        text, lyrics = self.texts(pipeline)
        before, to_caption, to_metas, end = SFT_GEN_PROMPT.split("{}")
        caption_at = len(before + self.instruction + to_caption)
        found = []
        read = _characters_read(pipeline, text, TEXT_TOKENS)
        metas_at = caption_at + len(self.caption + to_metas)
        if read < caption_at + len(self.caption):
            found.append(
                f"The caption is too long: the model reads {TEXT_TOKENS} tokens of prompt, "
                f"{_up_to(self.caption, read - caption_at)}. Tempo, key, time signature and "
                "length come after it and are not read."
            )
        elif missing := _lines_beyond(text[metas_at : -len(end)], read - metas_at):
            found.append(
                f"The caption is so long that the model, which reads {TEXT_TOKENS} tokens of "
                f"prompt, does not read all of what follows it: {', '.join(missing)}."
            )
        read = _characters_read(pipeline, lyrics, LYRIC_TOKENS)
        sung_at = lyrics.index(self.lyrics + "<|endoftext|>")
        if read < sung_at + len(self.lyrics):
            found.append(
                f"The lyrics are too long: the model reads {LYRIC_TOKENS} tokens of them, "
                f"{_up_to(self.lyrics, read - sung_at)}."
            )
        return tuple(found)


def task_instruction(request: DecodeRequest) -> str:
    """The request's own instruction, otherwise that of its task; with codes, that of a cover.

    A new song that is made from codes always has the cover's instruction, as in upstream.
    """
    own = own_instruction(request.instruction)
    if own and not (request.codes and request.task == "text2music"):
        return own
    instruction: str = AceStepPipeline._get_task_instruction(
        "cover" if request.codes or request.task in COVER_TASKS else request.task,
        request.track_name or None,
        list(request.track_classes) or None,
    )
    return instruction


def text2music_instruction() -> str:
    """The prompt after the steps of a cover's strength."""
    instruction: str = AceStepPipeline._get_task_instruction("text2music")
    return instruction


def _of_track(request: DecodeRequest, caption: str, instruction: str) -> str:
    """The caption of a single track, as models for tracks read it. It lacks what the whole
    song is like if the instruction asks for a segment."""
    lines = [f"Local: {caption}", f"Mask Control: {str(request.names_window).lower()}"]
    if "a segment" not in instruction.lower():
        lines.insert(0, f"Global: {request.global_caption}")
    return "\n".join(lines)


def _without_template(caption: str) -> str:
    """Only the caption, if a client sends the whole template as upstream does."""
    if "# Instruction" in caption and (found := _CAPTION_IN_TEMPLATE.search(caption)):
        return found.group(1).strip()
    return caption


def _characters_read(pipeline: AceStepPipeline, text: str, tokens: int) -> int:
    """How many characters of ``text`` are left if it is cut after this many tokens."""
    kept = pipeline.tokenizer(text, truncation=True, max_length=tokens, return_offsets_mapping=True)
    ends: list[int] = [end for _, end in kept["offset_mapping"]]
    return max(ends)


def _up_to(text: str, characters: int) -> str:
    """As text for people: the last word that is read."""
    kept = text[: max(characters, 0)].split()
    if not kept:
        return "none of it"
    return f'up to word {len(kept)} of {len(text.split())} ("…{" ".join(kept)[-_TAIL:]}")'


def _lines_beyond(metas: str, characters: int) -> list[str]:
    """The lines "- name: value" that end after this many characters."""
    found, end = [], 0
    for line in metas.splitlines():
        end += len(line)
        if end > characters:
            found.append(line.removeprefix("- "))
        end += len("\n")
    return found
