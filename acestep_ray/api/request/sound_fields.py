"""The fields of a request that change how the decoder makes the sound.

They are a part of GenerateRequest (generate_request.py), where it is described how a field is
written. Their names, meanings and defaults are those of upstream's generation parameters.
"""

from typing import Annotated, get_args

from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, BeforeValidator, Field

from acestep_ray.api.request.coercion import FLAG, REAL, TEXT, WHOLE, choice
from acestep_ray.api.request.field_schema import FLAG_WORDS, any_of, legal
from acestep_ray.api.request.field_values import (
    MAX_SEED,
    MOST_SCALE,
    read_adapters,
    read_seed,
    read_timesteps,
)
from acestep_ray.decoder.protocol import (
    AdapterUse,
    DcwMode,
    DcwWavelet,
    GuidanceVariant,
    InferMethod,
    SamplerMode,
)

_ADAPTER = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "scale": {"type": "number", "minimum": -MOST_SCALE, "maximum": MOST_SCALE},
    },
    "required": ["name"],
}


class SoundFields(BaseModel):
    """The noise, the steps, their guidance, their correction (DCW), and the final latents."""

    retake_seed: Annotated[
        tuple[int, ...],
        BeforeValidator(read_seed),
        any_of(
            {"type": "integer", "minimum": -1, "maximum": MAX_SEED},
            {"type": "string"},
            {"type": "array", "items": {"type": "integer", "minimum": -1, "maximum": MAX_SEED}},
        ),
    ] = Field(
        (-1,),
        description="Seed of other noise that is mixed into that of seed, for a take that is a "
        "little different; needs retake_variance. Several takes and -1 as for seed. The seeds used "
        "come back in retake_seed_value.",
        examples=[777],
        json_schema_extra=legal(
            f"a whole number from 0 to {MAX_SEED}, or -1 for random; or one for each take, as a "
            "list or with commas between, at most {batch_size}",
            default=-1,
        ),
    )
    retake_variance: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="How much of the noise is that of retake_seed: 0 nothing, 0.05 to 0.15 a "
        "little, 1 everything.",
        examples=[0.1],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    flow_edit_morph: Annotated[bool, FLAG] = Field(
        False,
        description="Move the source audio from the text that describes it to caption and lyrics, "
        "and keep what both have in common. For text2music, cover and cover-nofsq.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    flow_edit_source_caption: Annotated[str, MaxLen(4000), TEXT] = Field(
        "",
        description="With flow_edit_morph: what the source is like.",
        examples=["acoustic folk song"],
        json_schema_extra=legal("text of up to 4,000 characters"),
    )
    flow_edit_source_lyrics: Annotated[str, MaxLen(20_000), TEXT] = Field(
        "",
        description="With flow_edit_morph: what is sung in the source.",
        examples=["[verse]\nHello world"],
        json_schema_extra=legal("text of up to 20,000 characters"),
    )
    flow_edit_n_min: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="With flow_edit_morph: share of the steps that are left out at the beginning. "
        "The higher it is, the more of the source stays.",
        examples=[0.0],
        json_schema_extra=legal("a number from 0 to 1, at most flow_edit_n_max"),
    )
    flow_edit_n_max: Annotated[float, Ge(0), Le(1), REAL] = Field(
        1.0,
        description="With flow_edit_morph: share of the steps after which the song is made on by "
        "caption and lyrics alone, without the source.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 1, at least flow_edit_n_min"),
    )
    flow_edit_n_avg: Annotated[int, Ge(1), Le(8), WHOLE] = Field(
        1,
        description="With flow_edit_morph: how many noises are compared in each step. A step takes "
        "as many times as long.",
        examples=[1],
        json_schema_extra=legal("a whole number from 1 to 8"),
    )
    adapters: Annotated[
        tuple[AdapterUse, ...] | None,
        BeforeValidator(read_adapters),
        any_of(
            {"type": "array", "items": {"anyOf": [_ADAPTER, {"type": "string"}]}},
            {"type": "string"},
            {"type": "null"},
        ),
    ] = Field(
        None,
        description="Adapters (LoRA, LoKr) that change the model for this job: a list of their "
        "names (GET /v1/adapters lists them), each with a scale, 1 if there is none; or text, with "
        "commas between and a colon before a scale. An empty list: none. Not sent: the service's "
        "default, if it has one. Alias: loras.",
        examples=[[{"name": "lo-fi-guitar", "scale": 0.8}]],
        json_schema_extra=legal(
            "a list of up to 8 names, each once, with scales from -2 to 2, or null"
        ),
    )
    lrc: Annotated[bool, FLAG] = Field(
        False,
        description="Find when each line of the lyrics is sung: lrc of the result. Needs a decoder "
        "that knows it (lrc in GET /v1/models). Aliases: get_lrc, auto_lrc.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    scores: Annotated[bool, FLAG] = Field(
        False,
        description="Measure how clearly the lyrics are sung one after another: scores of the "
        "result. Needs a decoder that knows it (scores in GET /v1/models). Aliases: get_scores, "
        "auto_score.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    infer_method: Annotated[InferMethod, choice(*get_args(InferMethod))] = Field(
        "ode",
        description="How the steps are made: along the model's velocity (ode), or each to the "
        "music that it predicts and back to new noise, which is the seed's too (sde).",
        examples=["ode"],
        json_schema_extra=legal("ode or sde"),
    )
    sampler_mode: Annotated[SamplerMode, choice(*get_args(SamplerMode))] = Field(
        "euler",
        description="Steps of ode: euler, or heun, which asks the model twice in each and so takes "
        "twice as long.",
        examples=["euler"],
        json_schema_extra=legal("euler or heun"),
    )
    timesteps: Annotated[
        tuple[float, ...],
        BeforeValidator(read_timesteps),
        any_of(
            {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
            {"type": "string"},
        ),
    ] = Field(
        (),
        description="The times of the steps themselves, from 1 (noise) to 0 (music), instead of "
        "inference_steps and shift. The 0 at the end may be left out. A turbo model uses the "
        "nearest of the 20 times that it was made for.",
        examples=["0.97,0.76,0.615,0.5,0.395,0.28,0.18,0.085,0"],
        json_schema_extra=legal(
            "numbers from 1 to 0, each below the one before it, as a list or with commas between, "
            "at most 200 (of a turbo model 20) without the 0 at the end"
        ),
    )
    use_adg: Annotated[bool, FLAG] = Field(
        False,
        description="Guidance by angles (ADG) instead of projections. A turbo model ignores it.",
        examples=[False],
        json_schema_extra=FLAG_WORDS,
    )
    guidance_variant: Annotated[GuidanceVariant, choice(*get_args(GuidanceVariant))] = Field(
        "apg_classic",
        description="How guidance combines what the model says with and without the texts: by "
        "projections (apg_classic), plainly (cfg), or by angles (adg; adg_w_norm turns further and "
        "keeps the level; adg_wo_clip has no limit). A turbo model ignores it.",
        examples=["apg_classic"],
        json_schema_extra=legal("apg_classic, cfg, adg, adg_w_norm or adg_wo_clip"),
    )
    velocity_norm_threshold: Annotated[float, Ge(0), Le(100), REAL] = Field(
        0.0,
        description="Limit of the velocity in a step: so many times the norm of the latents. 0: no "
        "limit; 1.5 to 3 are usual.",
        examples=[0.0],
        json_schema_extra=legal("a number from 0 to 100"),
    )
    velocity_ema_factor: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.0,
        description="Share of the velocity of the step before in that of a step; 0.05 to 0.2 are "
        "usual.",
        examples=[0.0],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    latent_shift: Annotated[float, Ge(-10), Le(10), REAL] = Field(
        0.0,
        description="Added to the final latents, before they become audio.",
        examples=[0.0],
        json_schema_extra=legal("a number from -10 to 10"),
    )
    latent_rescale: Annotated[float, Ge(0), Le(10), REAL] = Field(
        1.0,
        description="Factor of the final latents, before latent_shift is added.",
        examples=[1.0],
        json_schema_extra=legal("a number from 0 to 10"),
    )
    dcw_enabled: Annotated[bool, FLAG] | None = Field(
        None,
        description="Correct the latents after each step in the wavelet domain (DCW). null: with "
        "turbo models only, as upstream does. Alias: dcw.",
        examples=[False],
        json_schema_extra=legal(f"{FLAG_WORDS['x-legal']}, or null"),
    )
    dcw_mode: Annotated[DcwMode, choice(*get_args(DcwMode))] = Field(
        "double",
        description="What DCW corrects: the slow part of the latents (low), the fast part (high), "
        "each with its own strength (double), or both alike, without wavelets (pix).",
        examples=["double"],
        json_schema_extra=legal("low, high, double or pix"),
    )
    dcw_scaler: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.05,
        description="Strength of DCW; in the mode double that of the slow part.",
        examples=[0.05],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    dcw_high_scaler: Annotated[float, Ge(0), Le(1), REAL] = Field(
        0.02,
        description="Strength of DCW for the fast part, in the mode double.",
        examples=[0.02],
        json_schema_extra=legal("a number from 0 to 1"),
    )
    dcw_wavelet: Annotated[DcwWavelet, choice(*get_args(DcwWavelet))] = Field(
        "haar",
        description="Wavelet of DCW.",
        examples=["haar"],
        json_schema_extra=legal("haar, or db1, which is the same"),
    )
