"""What is refused before it is queued, because the language model's context cannot hold it."""

from pathlib import Path
from typing import Any

import pytest

from acestep_ray.planner.length_check import PlanFit
from acestep_ray.planner.protocol import PlanRequest, Writing
from acestep_ray.settings import Settings

SAMPLE = Writing(kind="sample", query="rain")
FORMAT = Writing(kind="format")
LONG = "na " * 2000


@pytest.fixture
def fit(checkpoints: Path) -> PlanFit:
    """For a context of 2048 tokens, of which 640 are kept for metadata."""
    return PlanFit(Settings.model_validate({"checkpoints": checkpoints, "lm": {"context": 2048}}))


def song(**fields: Any) -> PlanRequest:
    values = {"job_id": "", "attempt": 0, "caption": "jazz", "lyrics": "", "infer_type": "dit"}
    return PlanRequest.model_validate(values | fields)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, ""),
        ({"lyrics": LONG}, "The plan cannot be made"),
        ({"writing": SAMPLE}, ""),
        ({"writing": SAMPLE, "caption": LONG}, ""),  # it is replaced
        ({"writing": Writing(kind="sample", query=LONG)}, "The text cannot be written"),
        ({"writing": SAMPLE, "infer_type": "llm_dit", "duration": 60}, ""),
        ({"writing": SAMPLE, "infer_type": "llm_dit", "duration": 400}, "2000 audio codes"),
        ({"writing": SAMPLE, "duration": 400}, ""),  # without codes
        ({"writing": SAMPLE, "infer_type": "llm_dit", "duration": 200}, ""),
        # 1150 codes would fit without any text, but not with 128 tokens of lyrics.
        ({"writing": SAMPLE, "infer_type": "llm_dit", "duration": 230}, "1150 audio codes"),
        ({"writing": FORMAT, "lyrics": "na na"}, ""),
        ({"writing": FORMAT, "lyrics": LONG}, "The text cannot be written"),
        (
            {"writing": FORMAT, "lyrics": "na " * 500, "infer_type": "llm_dit", "duration": 250},
            "1250 audio codes",
        ),
        # The lyrics stay if the LM writes none; beside them there must be room for a caption.
        (
            {"writing": FORMAT, "lyrics": "na " * 450, "infer_type": "llm_dit", "duration": 170},
            "850 audio codes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(fit: PlanFit, fields: dict[str, Any], refused: str) -> None:
    refusal = fit.refusal(song(**fields))
    assert refused in refusal and bool(refused) is bool(refusal)


def test_without_a_tokenizer_nothing_is_measured(tmp_path: Path) -> None:
    """On a machine without the checkpoints the planner refuses the job later."""
    fit = PlanFit(Settings.model_validate({"checkpoints": tmp_path}))
    assert fit.refusal(song(lyrics=LONG)) == ""
