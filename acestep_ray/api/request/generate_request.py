"""Every field of ``POST /v1/music/generate``: type, default, bounds, words and an example.

This is the only place for them: validation, the error messages for bad values and the OpenAPI
document are made from this model. ``x-legal`` completes the sentence "FIELD must be ...";
``{duration}`` and ``{batch_size}`` in it are replaced by the limits in the settings.

An attribute has the name that the parameter has in the job and in the engines. If the API has
another name, that is the ``alias``. A parameter of the language model has its name after ``lm_``. A
new parameter needs no alias.
"""

from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo

from acestep_ray.api.request.coercion import FLAG, REAL, TEXT, WHOLE, choice, spelled
from acestep_ray.api.request.field_values import (
    MAX_SEED,
    TRACKS,
    read_batch,
    read_codes,
    read_duration,
    read_job_id,
    read_repaint_end,
    read_seed,
    read_tracks,
    read_webhook_events,
    read_webhook_url,
)
from acestep_ray.decoder.protocol import TASKS, Task
from acestep_ray.formats import FORMATS, AudioFormatName
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.webhook import WEBHOOK_KINDS
from acestep_ray.planner.metadata import (
    LANGUAGES,
    normalise_key,
    normalise_language,
    normalise_time_signature,
)
from acestep_ray.settings.engine_names import LmBackend


def _legal(words: str, **schema: Any) -> dict[str, Any]:
    """Schema keywords: the legal values in words, and others that do not follow from the types."""
    return {"x-legal": words, **schema}


def _any_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


_FLAG = _legal("true or false (in a form also 1/0, yes/no, on/off)")
_PATH = _legal(
    "the absolute path of an audio file under a folder that the server allows (its setting "
    "ACESTEP_AUDIO_ROOTS)"
)
_JOB = _legal("the job_id of a succeeded job whose audio is still stored, or null")
_TAKE = _legal("the number of a take of that job, from 1")
_TRACKS = ", ".join(TRACKS)
_EVENTS = ", ".join(WEBHOOK_KINDS)


class GenerateRequest(BaseModel):
    """A request for music. Everything has a default; unknown fields are reported in ``warnings``.

    In JSON ``null`` and an empty string mean the default, and numbers and booleans may come as
    strings. In forms an empty value means the default, and so do null, undefined and None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="What the music is like: style, mood, instruments, voice. Alias: prompt.",
        examples=["upbeat pop song"],
        json_schema_extra=_legal("text of up to 4,000 characters"),
    )
    lyrics: Annotated[str, MaxLen(20_000), TEXT] = Field(
        "",
        description="What is sung, with section tags such as [verse]. Empty: instrumental.",
        examples=["[verse]\nHello world"],
        json_schema_extra=_legal("text of up to 20,000 characters"),
    )
    vocal_language: Annotated[str, spelled(normalise_language)] = Field(
        "en",
        description="Language of the lyrics; a region is dropped (zh-CN is zh). Alias: language.",
        examples=["en"],
        json_schema_extra=_legal("one of " + ", ".join(LANGUAGES)),
    )
    audio_format: Annotated[AudioFormatName, choice(*FORMATS)] = Field(
        "mp3",
        description="File type of the takes: wav has 16 bits, wav32 32-bit floats, and aac is an "
        "M4A file.",
        examples=["mp3"],
        json_schema_extra=_legal(
            "mp3, wav, wav32, flac, opus or ogg; with ffmpeg on the server also aac"
        ),
    )
    bpm: Annotated[int, Ge(30), Le(300), WHOLE] | None = Field(
        None,
        description="Tempo, beats a minute. null: the LM's, or the model's own.",
        examples=[120],
        json_schema_extra=_legal("a whole number from 30 to 300, or null"),
    )
    key_scale: Annotated[str, spelled(normalise_key)] = Field(
        "",
        description="Key of the music, in any case and common spelling. Alias: keyscale.",
        examples=["C Major"],
        json_schema_extra=_legal(
            "a note A to G, with # or b if need be, and major or minor, "
            'such as "C Major", "f# minor" or "Am"'
        ),
    )
    time_signature: Annotated[str, spelled(normalise_time_signature)] = Field(
        "",
        description="Beats a bar. Alias: timesignature.",
        examples=["4/4"],
        json_schema_extra=_legal("2, 3, 4 or 6, or 2/4, 3/4, 4/4 or 6/8"),
    )
    duration: Annotated[float | None, BeforeValidator(read_duration)] = Field(
        None,
        alias="audio_duration",
        description="Length of a take, seconds. null, 0 or -1: the LM's choice, else an estimate "
        "from the lyrics (with the LM), else the server's default. Aliases: duration, "
        "target_duration.",
        examples=[30.0],
        json_schema_extra=_legal(
            "a number of seconds from 1 to {duration} (with use_5hz_lm from 10), "
            "or null, 0 or -1 for the service's choice"
        ),
    )
    steps: Annotated[int, Ge(1), Le(200), WHOLE] = Field(
        8,
        alias="inference_steps",
        description="Diffusion steps. A turbo model is made for 8 and warns above 20; base and SFT "
        "models are made for 50, and warn where none are sent.",
        examples=[8],
        json_schema_extra=_legal("a whole number from 1 to 200"),
    )
    guidance_scale: Annotated[float, Ge(0), Le(30), REAL] = Field(
        7.0,
        description="How closely to follow the caption. A turbo model ignores it.",
        examples=[7.0],
        json_schema_extra=_legal("a number from 0 to 30"),
    )
    use_random_seed: Annotated[bool, FLAG] = Field(
        True,
        description="Draw the seeds at random, whatever seed says: send false with a seed.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    seed: Annotated[
        tuple[int, ...],
        BeforeValidator(read_seed),
        _any_of(
            {"type": "integer", "minimum": -1, "maximum": MAX_SEED},
            {"type": "string"},
            {"type": "array", "items": {"type": "integer", "minimum": -1, "maximum": MAX_SEED}},
        ),
    ] = Field(
        (-1,),
        description="Used when use_random_seed is false. One seed with several takes means seed, "
        "seed + 1 and so on; several, as a list or with commas, are one a take. -1: random. "
        "The seeds used come back in seed_value.",
        examples=[12345],
        json_schema_extra=_legal(
            f"a whole number from 0 to {MAX_SEED}, or -1 for random; or one for each take, as a "
            "list or with commas between, at most {batch_size}",
            default=-1,
        ),
    )
    batch_size: Annotated[int, Ge(1), Le(8), BeforeValidator(read_batch), WHOLE] | None = Field(
        None,
        description="Takes to make. null: the server's default (2), or as many as seeds came.",
        examples=[2],
        json_schema_extra=_legal("a whole number from 1 to {batch_size}, or null"),
    )
    sample_query: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="A song in a few words: the language model (LM) writes caption, lyrics and "
        "metadata from it. Instead of caption and lyrics, and only for text2music. Aliases: "
        "description, desc.",
        examples=["a sad song about rain"],
        json_schema_extra=_legal("text of up to 4,000 characters"),
    )
    sample_mode: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM write a song, from sample_query; without one it invents it.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    use_format: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM rewrite caption and lyrics in the form that suits the models. Only "
        "for text2music. Alias: format.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    instrumental: Annotated[bool, FLAG] = Field(
        False,
        description="A song without words: the LM writes no lyrics. It contradicts lyrics.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    use_5hz_lm: Annotated[bool, FLAG] = Field(
        False,
        description="Let the 5Hz language model plan the song first. Alias: thinking.",
        examples=[True],
        json_schema_extra=_FLAG,
    )
    lm_model_path: Annotated[str, MaxLen(200), TEXT] | None = Field(
        None,
        description="Name of a deployed LM checkpoint (GET /v1/models lists them).",
        examples=["acestep-5Hz-lm-1.7B"],
        json_schema_extra=_legal("the name of a deployed LM, or null"),
    )
    lm_backend: Annotated[LmBackend, choice(*get_args(LmBackend))] = Field(
        "vllm",
        description="Engine of the LM. One that is not deployed is served by the one that is.",
        examples=["vllm"],
        json_schema_extra=_legal("vllm or pt"),
    )
    lm_temperature: Annotated[float, Ge(0), Le(2), REAL] = Field(
        0.6,
        description="Randomness of the LM; 0 always takes the likeliest token.",
        examples=[0.6],
        json_schema_extra=_legal("a number from 0 to 2"),
    )
    lm_cfg_scale: Annotated[float, Ge(0), Le(20), REAL] = Field(
        1.0,
        description="Classifier-free guidance of the LM, on above 1.",
        examples=[1.0],
        json_schema_extra=_legal("a number from 0 to 20"),
    )
    lm_negative_prompt: Annotated[str, MaxLen(4000), TEXT] = Field(
        "NO USER INPUT",
        description="What the LM is guided away from, with lm_cfg_scale above 1. Blank or NO USER "
        "INPUT: nothing in particular.",
        examples=["NO USER INPUT"],
        json_schema_extra=_legal("text of up to 4,000 characters"),
    )
    lm_top_k: Annotated[int, Ge(0), Le(2**31 - 1), WHOLE] | None = Field(
        None,
        description="The LM chooses among so many likeliest tokens; 0 or null: among all.",
        examples=[0],
        json_schema_extra=_legal("a whole number from 0 to 2147483647, or null"),
    )
    lm_top_p: Annotated[float, Ge(0), REAL] | None = Field(
        None,
        description="The LM chooses among the likeliest tokens of this total probability; "
        "1 and above, or null: among all.",
        examples=[1.0],
        json_schema_extra=_legal("a number from 0 to 1 (above 1 means 1), or null"),
    )
    lm_repetition_penalty: Annotated[float, Gt(0), Le(2), REAL] = Field(
        1.0,
        description="Above 1 the LM repeats itself less.",
        examples=[1.0],
        json_schema_extra=_legal("a number above 0, at most 2"),
    )
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
        description="What to do. lego, extract and complete need a base model.",
        examples=["text2music"],
        json_schema_extra=_legal(
            "text2music, cover or repaint; with a base model also lego, extract or complete"
        ),
    )
    instruction: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="The instruction line of the model's prompt. Empty, or one of the defaults "
        'that clients send ("Fill the mask based on the given conditions:", "Fill the audio '
        "semantic mask based on the given conditions:\"): the task's own. text2music with audio "
        "codes always has the cover's.",
        examples=[""],
        json_schema_extra=_legal("text of up to 4,000 characters"),
    )
    repaint_start: Annotated[float, REAL] = Field(
        0.0,
        alias="repainting_start",
        description="Start of the window to repaint, seconds; below 0: outpaint before the source.",
        examples=[0.0],
        json_schema_extra=_legal("a number of seconds, before the end of the source"),
    )
    repaint_end: Annotated[float | None, BeforeValidator(read_repaint_end)] = Field(
        None,
        alias="repainting_end",
        description="End of the window, seconds; null or -1: the end of the source; beyond it: "
        "outpaint after the source.",
        examples=[-1],
        json_schema_extra=_legal(
            "a number of seconds after repainting_start, or null or -1 for the end of the source"
        ),
    )
    cover_strength: Annotated[float, Ge(0), Le(1), REAL] = Field(
        1.0,
        alias="audio_cover_strength",
        description="Share of the steps that follow the source or the codes.",
        examples=[1.0],
        json_schema_extra=_legal("a number from 0 to 1"),
    )
    codes: Annotated[
        tuple[tuple[int, ...], ...],
        BeforeValidator(read_codes),
        _any_of({"type": "string"}, {"type": "array", "items": {"type": "string"}}),
    ] = Field(
        (),
        alias="audio_code_string",
        description="Audio codes of an earlier plan, 5 a second, instead of the LM's: one string, "
        "or a list with one a take. They decide the length.",
        examples=["<|audio_code_1024|><|audio_code_77|><|audio_code_63999|>"],
        json_schema_extra=_legal(
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
        json_schema_extra=_legal("dit or llm_dit, or null"),
    )
    cfg_interval_start: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="Guidance is on while cfg_interval_start <= t <= cfg_interval_end; t falls "
        "from 1 (noise) to 0.",
        examples=[0.0],
        json_schema_extra=_legal("a number from 0 to 1, at most cfg_interval_end"),
    )
    cfg_interval_end: Annotated[float, Ge(0), Le(1), REAL] = Field(
        1.0,
        description="See cfg_interval_start.",
        examples=[1.0],
        json_schema_extra=_legal("a number from 0 to 1, at least cfg_interval_start"),
    )
    shift: Annotated[float, Ge(1), Le(5), REAL] = Field(
        3.0,
        description="Shift of the time-steps: higher spends more of them on structure.",
        examples=[3.0],
        json_schema_extra=_legal("a number from 1 to 5"),
    )
    use_tiled_decode: Annotated[bool, FLAG] = Field(
        True,
        description="Decode the waveform in tiles, which needs less memory.",
        examples=[True],
        json_schema_extra=_FLAG,
    )
    use_cot_caption: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM word the caption anew, for its codes and for the decoder. Without "
        "it both go by yours.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    use_cot_language: Annotated[bool, FLAG] | None = Field(
        None,
        description="Whether the LM chooses the language that its codes follow: true always, false "
        "never (it is vocal_language), null where vocal_language is en. Aliases: cot_language, "
        "cot-language.",
        examples=[True],
        json_schema_extra=_legal(f"{_FLAG['x-legal']}, or null"),
    )
    track_name: Annotated[str, choice(*TRACKS)] = Field(
        "",
        description="Track to add (lego) or to take out (extract).",
        examples=["vocals"],
        json_schema_extra=_legal(f"one of {_TRACKS}"),
    )
    track_classes: Annotated[
        tuple[str, ...],
        BeforeValidator(read_tracks),
        _any_of({"type": "array", "items": {"type": "string"}}, {"type": "string"}),
    ] = Field(
        (),
        description="Tracks to add (complete): a list, or text with commas between.",
        examples=["drums,bass"],
        json_schema_extra=_legal(f"a list of {_TRACKS}"),
    )
    model: Annotated[str, MaxLen(200), TEXT] | None = Field(
        None,
        description="Decoder model (GET /v1/models lists them). null: the first one.",
        examples=["acestep-v15-turbo"],
        json_schema_extra=_legal("the name of a deployed decoder model, or null"),
    )
    use_adg: Annotated[bool, FLAG] = Field(
        False,
        description="Accepted, with a warning: this guidance is not done.",
        examples=[False],
        json_schema_extra=_FLAG,
    )
    webhook_url: Annotated[str, BeforeValidator(read_webhook_url)] | None = Field(
        None,
        description="Where signed messages about this job are sent (docs/events.md).",
        examples=["https://music.example.org/hooks/acestep"],
        json_schema_extra=_legal(
            "an http or https URL of up to 2,000 characters whose host the server may call, "
            "without user name, password and fragment, or null"
        ),
    )
    webhook_events: Annotated[
        tuple[EventKind, ...],
        BeforeValidator(read_webhook_events),
        _any_of({"type": "array", "items": {"type": "string"}}, {"type": "string"}),
    ] = Field(
        (EventKind.ENDED,),
        description="What webhook_url gets messages of: a list, or text with commas between.",
        examples=["running,ended"],
        json_schema_extra=_legal(f"a list of {_EVENTS}"),
    )

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
