"""Flow-edit moves a source to other texts: what a request for it needs, and what it leaves out."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.unit.api.harness import ApiHarness, field_errors, warnings_of
from tests.unit.api.upstream.tasks import data_of

MORPH: dict[str, Any] = {
    "flow_edit_morph": True,
    "flow_edit_source_caption": "folk",
    "caption": "rock",
}


async def upload(
    api: ApiHarness, wav: bytes, path: str = "/v1/music/generate", **fields: Any
) -> Any:
    return await api.http.post(
        path,
        data={name: str(value) for name, value in fields.items()},
        files={"src_audio": ("song.wav", wav, "audio/wav")},
    )


@pytest.fixture
def wav() -> bytes:
    """Three seconds."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros((48_000 * 3, 2), np.float32) + 0.1, 48_000, format="WAV")
    return file.getvalue()


async def test_a_new_song_with_it_has_a_source_and_no_plan(api: ApiHarness, wav: bytes) -> None:
    """The LM would write a song of its own over the source."""
    answer = await upload(api, wav, use_5hz_lm=True, **MORPH)
    assert warnings_of(answer) == (
        "The LM is skipped (use_5hz_lm): it plans nothing for flow_edit_morph."
    )
    spec = await api.stored(answer.json()["job_id"])
    assert spec.plan is None and spec.decode.edits_flow
    assert spec.decode.source is not None and spec.decode.source.seconds == 3


async def test_without_a_source_it_is_refused(api: ApiHarness) -> None:
    refused = field_errors(await api.submit(**MORPH))
    assert refused["src_audio_path"].startswith("flow_edit_morph needs source audio")
    with_codes = await api.submit(task_type="cover", audio_code_string="1,2", **MORPH)
    assert "audio_code_string" not in field_errors(with_codes)["src_audio_path"]


async def test_an_empty_range_of_steps_is_refused(api: ApiHarness, wav: bytes) -> None:
    answer = await upload(api, wav, flow_edit_n_min=0.6, flow_edit_n_max=0.5, **MORPH)
    assert "must not be below flow_edit_n_min" in field_errors(answer)["flow_edit_n_max"]


@pytest.mark.parametrize("asked", ["sample_query", "use_format"])
async def test_no_text_is_written_for_it(api: ApiHarness, wav: bytes, asked: str) -> None:
    fields = {**MORPH, asked: "true"} | ({"caption": ""} if asked == "sample_query" else {})
    errors = field_errors(await upload(api, wav, **fields))
    assert "contradicts flow_edit_morph" in errors[asked]


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"sampler_mode": "heun", "dcw_enabled": True},
         "Not used with flow_edit_morph: sampler_mode, dcw_enabled."),
        ({"audio_code_string": "1,2"}, "audio_code_string is not used with flow_edit_morph."),
        ({"audio_duration": 20}, "audio_duration is not used: the source decides the length."),
        ({"flow_edit_source_caption": ""}, "Nothing describes the source"),
        ({"flow_edit_n_min": 1}, "flow_edit_n_min is 1, so all steps are left out"),
        ({"task_type": "repaint"}, "flow_edit_morph is not used for repaint"),
        ({"flow_edit_morph": False}, "Not used without flow_edit_morph: flow_edit_source_caption."),
    ],
)  # fmt: skip
async def test_what_it_does_not_use(
    api: ApiHarness, wav: bytes, fields: dict[str, Any], warning: str
) -> None:
    answer = await upload(api, wav, **{**MORPH, **fields})
    assert warning in warnings_of(answer)
    spec = await api.stored(answer.json()["job_id"])
    edits = spec.decode.task == "text2music" and fields.get("flow_edit_morph", True)
    assert spec.decode.edits_flow == spec.decode.flow_edit_morph == edits


async def test_upstreams_clients_may_ask_for_it(api: ApiHarness, wav: bytes) -> None:
    answer = await upload(api, wav, "/release_task", thinking=False, **MORPH)
    spec = await api.stored(data_of(answer)["task_id"])
    assert spec.plan is None and spec.decode.edits_flow and spec.decode.source is not None
    assert spec.decode.duration is None, "the source decides the length"
