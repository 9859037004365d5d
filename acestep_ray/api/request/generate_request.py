"""Every field of ``POST /v1/music/generate``: type, default, bounds, words and an example.

This model, with its parts in song_fields.py and sound_fields.py, is the only place for them:
validation, the error messages for bad values and the OpenAPI document are made from it. ``x-legal``
completes the sentence "FIELD must be ..."; ``{duration}`` and ``{batch_size}`` in it are replaced
by the limits in the settings.

An attribute has the name that the parameter has in the job and in the engines. If the API has
another name, that is the ``alias``. A parameter of the language model has its name after ``lm_``. A
new parameter needs no alias.
"""

from typing import Annotated, Literal, get_args

from annotated_types import Ge, Le, MaxLen
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from acestep_ray.api.request.coercion import FLAG, REAL, TEXT, WHOLE, choice
from acestep_ray.api.request.field_schema import FLAG_WORDS, any_of, legal
from acestep_ray.api.request.field_values import (
    TRACKS,
    read_codes,
    read_job_id,
    read_repaint_end,
    read_tracks,
    read_webhook_events,
    read_webhook_url,
)
from acestep_ray.api.request.song_fields import SongFields
from acestep_ray.api.request.sound_fields import SoundFields
from acestep_ray.decoder.protocol import TASKS, ChunkMaskMode, RepaintMode, Task
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.webhook import WEBHOOK_KINDS

_PATH = legal(
    "the absolute path of an audio file under a folder that the server allows (its setting "
    "ACESTEP_AUDIO_ROOTS)"
)
_JOB = legal("the job_id of a succeeded job whose audio is still stored, or null")
_TAKE = legal("the number of a take of that job, from 1")
_TRACKS = ", ".join(TRACKS)
_EVENTS = ", ".join(WEBHOOK_KINDS)


class GenerateRequest(SoundFields, SongFields):
    """A request for music. Everything has a default; unknown fields are reported in ``warnings``.

    In JSON ``null`` and an empty string mean the default, and numbers and booleans may come as
    strings. In forms an empty value means the default, and so do null, undefined and None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference_audio_path: Annotated[str, MaxLen(4096), TEXT] | None = Field(
        None,
        description="Audio on the server whose sound the takes follow. In a multipart form, send "
        "the file reference_audio instead.",
        examples=["/srv/acestep/inputs/reference.wav"],
        json_schema_extra=_PATH,
    )
    src_audio_path: Annotated[str, MaxLen(4096), TEXT] | None = Field(
        None,
        description="Audio on the server to repaint or cover. In a multipart form, send the file "
        "src_audio instead.",
        examples=["/srv/acestep/inputs/song.mp3"],
        json_schema_extra=_PATH,
    )
    src_job_id: Annotated[str, BeforeValidator(read_job_id)] | None = Field(
        None,
        description="An earlier job whose take is the audio to repaint or cover.",
        examples=["550e8400-e29b-41d4-a716-446655440000"],
        json_schema_extra=_JOB,
    )
    src_take: Annotated[int, Ge(1), Le(8), WHOLE] = Field(
        1,
        description="Which take of src_job_id.",
        examples=[1],
        json_schema_extra=_TAKE,
    )
    reference_job_id: Annotated[str, BeforeValidator(read_job_id)] | None = Field(
        None,
        description="An earlier job whose take is the audio whose sound the takes follow.",
        examples=["550e8400-e29b-41d4-a716-446655440000"],
        json_schema_extra=_JOB,
    )
    reference_take: Annotated[int, Ge(1), Le(8), WHOLE] = Field(
        1,
        description="Which take of reference_job_id.",
        examples=[1],
        json_schema_extra=_TAKE,
    )
    task: Annotated[Task, choice(*TASKS)] = Field(
        "text2music",
        alias="task_type",
        description="What to do. cover-nofsq is a cover that follows its source itself instead of "
        "what audio codes keep of it. lego, extract and complete need a base model.",
        examples=["text2music"],
        json_schema_extra=legal(
            "text2music, cover, cover-nofsq or repaint; with a base model also lego, extract or "
            "complete"
        ),
    )
    instruction: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="The instruction line of the model's prompt. Empty, or one of the defaults "
        'that clients send ("Fill the mask based on the given conditions:", "Fill the audio '
        "semantic mask based on the given conditions:\"): the task's own. text2music with audio "
        "codes always has the cover's.",
        examples=[""],
        json_schema_extra=legal("text of up to 4,000 characters"),
    )
    global_caption: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="What the whole song is like, beside the caption of one of its tracks: for "
        "models that were tuned to make single tracks (lego_sft in GET /v1/models).",
        examples=["upbeat pop song with a band"],
        json_schema_extra=legal("text of up to 4,000 characters, for a model with lego_sft"),
    )
    repaint_start: Annotated[float, REAL] = Field(
        0.0,
        alias="repainting_start",
        description="Start of the window to repaint, seconds; below 0: outpaint before the source.",
        examples=[0.0],
        json_schema_extra=legal("a number of seconds, before the end of the source"),
    )
    repaint_end: Annotated[float | None, BeforeValidator(read_repaint_end)] = Field(
        None,
        alias="repainting_end",
        description="End of the window, seconds; null or -1: the end of the source; beyond it: "
        "outpaint after the source. 0 with a start below 0: what is before the source alone.",
        examples=[-1],
        json_schema_extra=legal(
            "a number of seconds after repainting_start, or null or -1 for the end of the source"
        ),
    )
    cover_strength: Annotated[float, Ge(0), Le(1), REAL] = Field(
        1.0,
        alias="audio_cover_strength",
        description="Share of the steps that follow the source or the codes.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    repaint_mode: Annotated[RepaintMode, choice(*get_args(RepaintMode))] = Field(
        "balanced",
        description="How closely a repaint keeps to its source while it is made: all the time "
        "(conservative), in the first steps (balanced), or not at all (aggressive). Outside the "
        "window the result is the source in every mode.",
        examples=["balanced"],
        json_schema_extra=legal("conservative, balanced or aggressive"),
    )
    repaint_strength: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.5,
        description="How free a balanced repaint is: 0 as conservative, 1 free.",
        examples=[0.5],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    chunk_mask_mode: Annotated[ChunkMaskMode, choice(*get_args(ChunkMaskMode))] | None = Field(
        None,
        description="Whether the model is shown the window (explicit), or that everything may "
        "change (auto). null: auto for a conservative or balanced repaint, otherwise explicit.",
        examples=["explicit"],
        json_schema_extra=legal("auto or explicit, or null"),
    )
    cover_noise_strength: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="How much of the source, or of the codes' sound, is in the noise at the "
        "beginning. The steps for more noise than that are left out.",
        examples=[0.0],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    codes: Annotated[
        tuple[tuple[int, ...], ...],
        BeforeValidator(read_codes),
        any_of({"type": "string"}, {"type": "array", "items": {"type": "string"}}),
    ] = Field(
        (),
        alias="audio_code_string",
        description="Audio codes of an earlier plan, 5 a second, instead of the LM's: one string, "
        "or a list with one a take. They decide the length.",
        examples=["<|audio_code_1024|><|audio_code_77|><|audio_code_63999|>"],
        json_schema_extra=legal(
            "audio codes <|audio_code_N|> with N from 0 to 63999, 5 a second, at most {duration} "
            "seconds; one string, or a list of strings of one length, one a take",
            default="",
        ),
    )
    infer_type: Annotated[Literal["dit", "llm_dit"], choice("dit", "llm_dit")] | None = Field(
        None,
        description="dit: the LM writes metadata only; llm_dit: audio codes too. null: llm_dit "
        "where the LM is used or codes are given.",
        examples=["dit"],
        json_schema_extra=legal("dit or llm_dit, or null"),
    )
    cfg_interval_start: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="Guidance is on while cfg_interval_start <= t <= cfg_interval_end; t falls "
        "from 1 (noise) to 0.",
        examples=[0.0],
        json_schema_extra=legal("a number from 0 to 1, at most cfg_interval_end"),
    )
    cfg_interval_end: Annotated[float, Ge(0), Le(1), REAL] = Field(
        1.0,
        description="See cfg_interval_start.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 1, at least cfg_interval_start"),
    )
    shift: Annotated[float, Ge(1), Le(5), REAL] = Field(
        3.0,
        description="Shift of the time-steps: higher spends more of them on structure. Not sent: "
        "what the model is made for (recommended_shift in GET /v1/models).",
        examples=[3.0],
        json_schema_extra=legal("a number from 1 to 5"),
    )
    use_tiled_decode: Annotated[bool, FLAG] = Field(
        True,
        description="Decode the waveform in tiles, which needs less memory.",
        examples=[True],
        json_schema_extra=FLAG_WORDS,
    )
    use_cot_caption: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM word the caption anew, for its codes and for the decoder. Without "
        "it both go by yours.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    use_cot_language: Annotated[bool, FLAG] | None = Field(
        None,
        description="Whether the LM chooses the language of codes and singing: true always, false "
        "never (it is vocal_language), null where vocal_language was not sent or is unknown. "
        "Aliases: cot_language, cot-language.",
        examples=[True],
        json_schema_extra=legal(f"{FLAG_WORDS['x-legal']}, or null"),
    )
    track_name: Annotated[str, choice(*TRACKS)] = Field(
        "",
        description="Track to add (lego) or to take out (extract).",
        examples=["vocals"],
        json_schema_extra=legal(f"one of {_TRACKS}"),
    )
    track_classes: Annotated[
        tuple[str, ...],
        BeforeValidator(read_tracks),
        any_of({"type": "array", "items": {"type": "string"}}, {"type": "string"}),
    ] = Field(
        (),
        description="Tracks to add (complete): a list, or text with commas between.",
        examples=["drums,bass"],
        json_schema_extra=legal(f"a list of {_TRACKS}"),
    )
    model: Annotated[str, MaxLen(200), TEXT] | None = Field(
        None,
        description="Decoder model (GET /v1/models lists them). null: the first one.",
        examples=["acestep-v15-turbo"],
        json_schema_extra=legal("the name of a deployed decoder model, or null"),
    )
    webhook_url: Annotated[str, BeforeValidator(read_webhook_url)] | None = Field(
        None,
        description="Where signed messages about this job are sent (docs/events.md).",
        examples=["https://music.example.org/hooks/acestep"],
        json_schema_extra=legal(
            "an http or https URL of up to 2,000 characters whose host the server may call, "
            "without user name, password and fragment, or null"
        ),
    )
    webhook_events: Annotated[
        tuple[EventKind, ...],
        BeforeValidator(read_webhook_events),
        any_of({"type": "array", "items": {"type": "string"}}, {"type": "string"}),
    ] = Field(
        (EventKind.ENDED,),
        description="What webhook_url gets messages of: a list, or text with commas between.",
        examples=["running,ended"],
        json_schema_extra=legal(f"a list of {_EVENTS}"),
    )

    @property
    def new_song(self) -> bool:
        """Whether the song is made without a source, so that the LM can plan it."""
        return self.task == "text2music" and not self.flow_edit_morph

    @property
    def cfg_interval(self) -> tuple[float, float]:
        """Both ends of the interval, as the decoder needs them."""
        return (self.cfg_interval_start, self.cfg_interval_end)


FIELDS: dict[str, FieldInfo] = {
    info.alias or name: info for name, info in GenerateRequest.model_fields.items()
}
"""Every field by its name in the API."""


def api_name(name: str) -> str:
    """The name in the API of an attribute of GenerateRequest."""
    return GenerateRequest.model_fields[name].alias or name
