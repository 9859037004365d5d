"""The fields of a request that change how the decoder makes the sound.

They are a part of GenerateRequest (generate_request.py), where it is described how a field is
written. Their names, meanings and defaults are those of upstream's generation parameters.
"""

from typing import Annotated, get_args

from annotated_types import Ge, Le
from pydantic import BaseModel, Field

from acestep_ray.api.request.coercion import FLAG, REAL, choice
from acestep_ray.api.request.field_schema import FLAG_WORDS, legal
from acestep_ray.decoder.protocol import DcwMode, DcwWavelet


class SoundFields(BaseModel):
    """The correction of the steps (DCW)."""

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
