"""The fields of a request that say what the song is, and how the language model (LM) writes it.

They are a part of GenerateRequest (generate_request.py), where it is described how a field is
written.
"""

from typing import Annotated, get_args

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import BaseModel, BeforeValidator, Field

from acestep_ray.api.request.coercion import FLAG, REAL, TEXT, WHOLE, choice, spelled
from acestep_ray.api.request.field_schema import FLAG_WORDS, any_of, legal
from acestep_ray.api.request.field_values import (
    MAX_SEED,
    read_batch,
    read_duration,
    read_seed,
)
from acestep_ray.formats import FORMATS, AudioFormatName
from acestep_ray.planner.metadata import (
    LANGUAGES,
    normalise_key,
    normalise_language,
    normalise_time_signature,
)
from acestep_ray.settings.engine_names import LmBackend


class SongFields(BaseModel):
    """Words, metadata, seeds and number of the takes, and the parameters of the LM."""

    caption: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="What the music is like: style, mood, instruments, voice. Alias: prompt.",
        examples=["upbeat pop song"],
        json_schema_extra=legal("text of up to 4,000 characters"),
    )
    lyrics: Annotated[str, MaxLen(20_000), TEXT] = Field(
        "",
        description="What is sung, with section tags such as [verse]. Empty: instrumental.",
        examples=["[verse]\nHello world"],
        json_schema_extra=legal("text of up to 20,000 characters"),
    )
    vocal_language: Annotated[str, spelled(normalise_language)] = Field(
        "en",
        description="Language of the lyrics; a region is dropped (zh-CN is zh). Alias: language.",
        examples=["en"],
        json_schema_extra=legal("one of " + ", ".join(LANGUAGES)),
    )
    audio_format: Annotated[AudioFormatName, choice(*FORMATS)] = Field(
        "mp3",
        description="File type of the takes: wav has 16 bits, wav32 32-bit floats, and aac is an "
        "M4A file.",
        examples=["mp3"],
        json_schema_extra=legal(
            "mp3, wav, wav32, flac, opus or ogg; with ffmpeg on the server also aac"
        ),
    )
    bpm: Annotated[int, Ge(30), Le(300), WHOLE] | None = Field(
        None,
        description="Tempo, beats a minute. null: the LM's, or the model's own.",
        examples=[120],
        json_schema_extra=legal("a whole number from 30 to 300, or null"),
    )
    key_scale: Annotated[str, spelled(normalise_key)] = Field(
        "",
        description="Key of the music, in any case and common spelling. Alias: keyscale.",
        examples=["C Major"],
        json_schema_extra=legal(
            "a note A to G, with # or b if need be, and major or minor, "
            'such as "C Major", "f# minor" or "Am"'
        ),
    )
    time_signature: Annotated[str, spelled(normalise_time_signature)] = Field(
        "",
        description="Beats a bar. Alias: timesignature.",
        examples=["4/4"],
        json_schema_extra=legal("2, 3, 4 or 6, or 2/4, 3/4, 4/4 or 6/8"),
    )
    duration: Annotated[float | None, BeforeValidator(read_duration)] = Field(
        None,
        alias="audio_duration",
        description="Length of a take, seconds. null, 0 or -1: the LM's choice, else an estimate "
        "from the lyrics (with the LM), else the server's default. Aliases: duration, "
        "target_duration.",
        examples=[30.0],
        json_schema_extra=legal(
            "a number of seconds from 1 to {duration} (with use_5hz_lm from 10), "
            "or null, 0 or -1 for the service's choice"
        ),
    )
    steps: Annotated[int, Ge(1), Le(200), WHOLE] = Field(
        8,
        alias="inference_steps",
        description="Diffusion steps. Not sent: what the model is made for, which is 8 for turbo "
        "and 50 for base and SFT models (recommended_steps in GET /v1/models). A turbo model warns "
        "above 20.",
        examples=[8],
        json_schema_extra=legal("a whole number from 1 to 200"),
    )
    guidance_scale: Annotated[float, Ge(0), Le(30), REAL] = Field(
        7.0,
        description="How closely to follow the caption. A turbo model ignores it.",
        examples=[7.0],
        json_schema_extra=legal("a number from 0 to 30"),
    )
    use_random_seed: Annotated[bool, FLAG] = Field(
        True,
        description="Draw the seeds at random, whatever seed says: send false with a seed.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    seed: Annotated[
        tuple[int, ...],
        BeforeValidator(read_seed),
        any_of(
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
        json_schema_extra=legal(
            f"a whole number from 0 to {MAX_SEED}, or -1 for random; or one for each take, as a "
            "list or with commas between, at most {batch_size}",
            default=-1,
        ),
    )
    batch_size: Annotated[int, Ge(1), Le(8), BeforeValidator(read_batch), WHOLE] | None = Field(
        None,
        description="Takes to make. null: the server's default (2), or as many as seeds came.",
        examples=[2],
        json_schema_extra=legal("a whole number from 1 to {batch_size}, or null"),
    )
    sample_query: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="A song in a few words: the language model (LM) writes caption, lyrics and "
        "metadata from it. Instead of caption and lyrics, and only for text2music. Aliases: "
        "description, desc.",
        examples=["a sad song about rain"],
        json_schema_extra=legal("text of up to 4,000 characters"),
    )
    sample_mode: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM write a song, from sample_query; without one it invents it.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    use_format: Annotated[bool, FLAG] = Field(
        False,
        description="Let the LM rewrite caption and lyrics in the form that suits the models. Only "
        "for text2music. Alias: format.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    instrumental: Annotated[bool, FLAG] = Field(
        False,
        description="A song without words: the LM writes no lyrics. It contradicts lyrics.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    use_5hz_lm: Annotated[bool, FLAG] = Field(
        False,
        description="Let the 5Hz language model plan the song first. Alias: thinking.",
        examples=[True],
        json_schema_extra=FLAG_WORDS,
    )
    lm_model_path: Annotated[str, MaxLen(200), TEXT] | None = Field(
        None,
        description="Name of a deployed LM checkpoint (GET /v1/models lists them).",
        examples=["acestep-5Hz-lm-1.7B"],
        json_schema_extra=legal("the name of a deployed LM, or null"),
    )
    lm_backend: Annotated[LmBackend, choice(*get_args(LmBackend))] = Field(
        "vllm",
        description="Engine of the LM. One that is not deployed is served by the one that is.",
        examples=["vllm"],
        json_schema_extra=legal("vllm or pt"),
    )
    lm_temperature: Annotated[float, Ge(0), Le(2), REAL] = Field(
        0.6,
        description="Randomness of the LM; 0 always takes the likeliest token.",
        examples=[0.6],
        json_schema_extra=legal("a number from 0 to 2"),
    )
    lm_cfg_scale: Annotated[float, Ge(0), Le(20), REAL] = Field(
        1.0,
        description="Classifier-free guidance of the LM, on above 1.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 20"),
    )
    lm_negative_prompt: Annotated[str, MaxLen(4000), TEXT] = Field(
        "NO USER INPUT",
        description="What the LM is guided away from, with lm_cfg_scale above 1. Blank or NO USER "
        "INPUT: nothing in particular.",
        examples=["NO USER INPUT"],
        json_schema_extra=legal("text of up to 4,000 characters"),
    )
    lm_top_k: Annotated[int, Ge(0), Le(2**31 - 1), WHOLE] | None = Field(
        None,
        description="The LM chooses among so many likeliest tokens; 0 or null: among all.",
        examples=[0],
        json_schema_extra=legal("a whole number from 0 to 2147483647, or null"),
    )
    lm_top_p: Annotated[float, Ge(0), REAL] | None = Field(
        None,
        description="The LM chooses among the likeliest tokens of this total probability; "
        "1 and above, or null: among all.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 1 (above 1 means 1), or null"),
    )
    lm_repetition_penalty: Annotated[float, Gt(0), Le(2), REAL] = Field(
        1.0,
        description="Above 1 the LM repeats itself less.",
        examples=[1.0],
        json_schema_extra=legal("a number above 0, at most 2"),
    )
