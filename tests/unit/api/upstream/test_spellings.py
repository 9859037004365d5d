"""How upstream's clients write values: in nested objects, as text, as words for nothing."""

import json

import pytest

from tests.unit.api.harness import ApiHarness
from tests.unit.api.upstream.tasks import release


@pytest.mark.parametrize(
    "name", ["param_obj", "paramObj", "metas", "meta", "metadata", "user_metadata", "userMetadata"]
)
@pytest.mark.parametrize("as_text", [True, False])
async def test_nested_objects(api: ApiHarness, name: str, as_text: bool) -> None:
    members = {
        "bpm": "90",
        "keyscale": "Am",
        "timesignature": "N/A",
        "duration": "20",
        "language": "ja",
        "genres": "N/A",
    }
    value = json.dumps(members) if as_text else members
    sent = await release(api, prompt="jazz", **{name: value})
    assert (sent.decode["bpm"], sent.decode["key_scale"]) == (90, "A minor")
    assert (sent.decode["time_signature"], sent.decode["seconds"]) == ("", 20)
    assert sent.decode["vocal_language"] == "ja" and sent.warnings == ""


async def test_the_body_wins_over_param_obj_and_that_over_metas(api: ApiHarness) -> None:
    sent = await release(
        api,
        prompt="jazz",
        bpm=90,
        key_scale="N/A",
        param_obj={"bpm": 91, "keyscale": "Am"},
        metas={"bpm": 92, "keyscale": "C", "timesignature": "3"},
    )
    values = [sent.decode[name] for name in ("bpm", "key_scale", "time_signature")]
    assert values == [90, "A minor", "3"]


@pytest.mark.parametrize("as_text", [True, False])
async def test_objects_in_nested_objects(api: ApiHarness, as_text: bool) -> None:
    inner: object = {"bpm": 90, "keyscale": "Am", "meta": {"language": "ja", "bpm": "N/A"}}
    inner = json.dumps(inner) if as_text else inner
    outer: object = {"key": "C", "bpm": "", "metas": inner}
    outer = json.dumps(outer) if as_text else outer
    sent = await release(api, prompt="jazz", param_obj=outer)
    values = [sent.decode[name] for name in ("bpm", "key_scale", "vocal_language")]
    assert values == [90, "C major", "ja"]
    assert sent.warnings == "param_obj.metas.keyscale is not used: param_obj.key came too."


async def test_what_is_nested_too_deeply_to_read(api: ApiHarness) -> None:
    """It is an answer, not an error of the server."""
    deep: object = {"bpm": 90, "a.b": 1}
    for _ in range(200):
        deep = {"metas": deep}
    sent = await release(api, prompt="jazz", param_obj=deep)
    assert sent.decode["bpm"] == 90 and "a.b" in sent.warnings
    sent = await release(api, prompt="jazz", param_obj={"metas": "{", "meta": [1], "a\n": {}})
    assert "param_obj.metas is not an object" in sent.warnings
    assert "param_obj.meta is not an object" in sent.warnings and "\n" not in sent.warnings


@pytest.mark.parametrize("value", ["{", "[1]", 5, "text", [1]])
async def test_a_nested_object_that_is_none(api: ApiHarness, value: object) -> None:
    assert "metas" in (await release(api, prompt="jazz", metas=value)).warnings


@pytest.mark.parametrize("nothing", [None, "", "null", "undefined", "N/A", "n/a", "None", [], {}])
async def test_words_for_nothing(api: ApiHarness, nothing: object) -> None:
    names = ("bpm", "key_scale", "seed", "batch_size", "audio_duration", "audio_format", "model",
             "thinking", "lm_top_k", "task_type", "src_audio_path", "track_classes", "lyrics",
             "src_audio", "inference_steps", "sample_query", "timesteps")  # fmt: skip
    sent = await release(api, prompt="jazz", **dict.fromkeys(names, nothing))
    assert sent.warnings == "" and sent.decode["steps"] == 8
    assert sent.plan["infer_type"] == "dit"


@pytest.mark.parametrize(
    ("word", "meant"),
    [(True, True), (1, True), ("1", True), ("true", True), ("TRUE", True), ("yes", True),
     ("y", True), ("on", True), (False, False), (0, False), ("0", False), ("no", False),
     ("n", False), ("off", False)],
)  # fmt: skip
async def test_booleans(api: ApiHarness, word: object, meant: bool) -> None:
    sent = await release(api, prompt="jazz", thinking=word)
    assert sent.plan["infer_type"] == ("llm_dit" if meant else "dit") and sent.warnings == ""
