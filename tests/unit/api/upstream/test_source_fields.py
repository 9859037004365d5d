"""Fields of upstream's tasks that change a source."""

from typing import Any

import pytest

from tests.unit.api.harness import URL, ApiHarness, problem_of
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.upstream.tasks import Engines, engines, release


async def with_source(api: ApiHarness, **fields: object) -> Engines:
    """Send a task as a multipart form, with source audio of two seconds."""
    data = {name: str(value) for name, value in fields.items()}
    files = {"src_audio": ("song.wav", SONG)}
    return await engines(api, await api.http.post("/release_task", data=data, files=files))


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"task_type": "cover", "audio_cover_strength": 0.5}, "cover_strength", 0.5),
        ({"task_type": "cover", "cover_strength": 0.5}, "cover_strength", 0.5),
        ({"task_type": "cover", "cover_strength": 5}, "cover_strength", 1.0),
        ({"task_type": "cover", "cover_noise_strength": "0.3"}, "cover_noise_strength", 0.3),
        ({"task_type": "repaint", "repaint_mode": "aggressive"}, "repaint_mode", "aggressive"),
        ({"task_type": "repaint", "repaintStrength": "0.2"}, "repaint_strength", 0.2),
        ({"task_type": "repaint", "chunk_mask_mode": "auto"}, "chunk_mask_mode", "auto"),
        ({"task_type": "repaint", "repainting_start": 1}, "repaint_start", 1.0),
        ({"task_type": "repaint", "repaintingStart": 1}, "repaint_start", 1.0),
        ({"task_type": "repaint", "repainting_end": 1.5}, "repaint_end", 1.5),
        ({"task_type": "repaint", "repainting_end": 0}, "repaint_end", None),
        ({"task_type": "repaint", "repainting_end": -1}, "repaint_end", None),
        ({"task_type": "repaint", "repainting_end": "null"}, "repaint_end", None),
        (
            {"task_type": "repaint", "repainting_start": 1, "repainting_end": 0.5},
            "repaint_end",
            None,
        ),
        ({"task_type": "lego", "track_name": "bass"}, "track_name", "bass"),
        (
            {"task_type": "complete", "track_classes": "bass,drums"},
            "track_classes",
            ("bass", "drums"),
        ),
        ({"task_type": "complete", "track_classes": '["bass"]'}, "track_classes", ("bass",)),
        ({"task_type": "complete", "instruments": "bass"}, "track_classes", ("bass",)),
    ],
)
async def test_fields_of_tasks_with_a_source(
    both: ApiHarness, fields: dict[str, Any], field: str, expected: Any
) -> None:
    sent = await with_source(both, prompt="jazz", **fields)
    assert sent.decode[field] == expected and sent.decode["source"].samples == 16_000


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"task_type": "repaint", "repaint_mode": "wild"}, "repaint_mode"),
     ({"task_type": "repaint", "repaint_strength": "5"}, "repaint_strength"),
     ({"task_type": "repaint", "chunk_mask_mode": "ones"}, "chunk_mask_mode"),
     ({"task_type": "cover", "cover_noise_strength": "-0.3"}, "cover_noise_strength"),
     ({"task_type": "cover", "thinking": "true"}, "use_5hz_lm"),
     ({"task_type": "repaint", "repainting_start": 1, "repainting_end": 0.5}, "repainting_end")],
)  # fmt: skip
async def test_what_cannot_be_used_with_a_source(
    api: ApiHarness, fields: dict[str, Any], named: str
) -> None:
    assert named in (await with_source(api, prompt="jazz", **fields)).warnings


@pytest.mark.parametrize("nested", ["param_obj", "metas"])
async def test_the_window_of_a_nested_task(api: ApiHarness, nested: str) -> None:
    await api.submit()
    path = f"{await api.succeed([SONG], ext='wav')}/1.wav"
    fields = {"repainting_start": 0.1, "repainting_end": 0.2, "src_audio_path": path}
    sent = await release(api, **fields, **{nested: {"task_type": "repaint"}})
    window = sent.decode["task"], sent.decode["repaint_start"], sent.decode["repaint_end"]
    assert window == ("repaint", 0.1, 0.2)


@pytest.mark.parametrize("route", ["/release_task", URL])
async def test_a_file_under_another_name_explains_the_missing_source(
    api: ApiHarness, route: str
) -> None:
    data = {"task_type": "cover", "prompt": "jazz", "note": "x"}
    files = {"audio": ("song.wav", SONG), "cover\nfile": ("song.wav", SONG)}
    problem = problem_of(await api.http.post(route, data=data, files=files), 422, "invalid_value")
    assert "A file came as audio, cover" in problem["detail"] and "\n" not in problem["detail"]
    assert "src_audio, ctx_audio, reference_audio, ref_audio" in problem["detail"]
    assert "note" not in problem["detail"]
    problem = problem_of(await api.http.post(route, data=data), 422, "invalid_value")
    assert "A file came" not in problem["detail"]
