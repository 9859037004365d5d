"""A turbo model with plans from ``pt``, as in ``make serve-real``: every task, from HTTP to
file."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.event_client import EventClient, check_job
from tests.serve_real.songs import request, serving, song, wav
from tests.service import Service
from tests.upstream_client import RATE, UpstreamClient


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("turbo")) as service:
        yield service


def test_text_to_music_replays_bit_for_bit(turbo: Service) -> None:
    job, first = song(turbo, caption="piano", lyrics="la la", audio_duration=6.3)
    assert len(first) == int(6.3 * 25) * 1920
    assert "diffusers" in job["result"]["generation_info"]
    seed = job["result"]["seed_value"]
    _, again = song(
        turbo, caption="piano", lyrics="la la", audio_duration=6.3, use_random_seed=False, seed=seed
    )
    np.testing.assert_array_equal(first, again)


def test_codes_from_the_planner_set_the_length(turbo: Service) -> None:
    job, samples = song(
        turbo, caption="piano", lyrics="la la", use_5hz_lm=True, audio_duration=10,
        key_scale="f# minor", lm_cfg_scale=2,
    )  # fmt: skip
    result = job["result"]
    assert result["audio_codes"].count("<|audio_code_") == 50
    assert len(samples) == 50 * 5 * 1920
    assert (result["duration"], result["keyscale"]) == (10, "F# minor")
    assert 30 <= result["bpm"] <= 300
    assert result["timesignature"] in ("2", "3", "4", "6")
    assert (result["genres"], result["metas"]["genres"]) == (None, "N/A")
    assert result["lm_caption"] is None
    assert "mock" not in result["generation_info"]
    # What the LM wrote, sent back without it, makes the same audio.
    _, again = song(
        turbo, caption="piano", lyrics="la la", audio_code_string=result["audio_codes"],
        bpm=result["bpm"], key_scale=result["keyscale"],
        time_signature=result["timesignature"], use_random_seed=False, seed=result["seed_value"],
        vocal_language=result["vocal_language"],
    )  # fmt: skip
    np.testing.assert_array_equal(samples, again)


def test_events_show_each_stage_in_order_with_true_steps(turbo: Service) -> None:
    steps, codes = 6, 50
    with EventClient(turbo.url, "/v1/events") as client:
        following = client.follow()
        events = [next(following)]  # the state, before the job: nothing of it can be missed
        answer = request(
            turbo, caption="piano", lyrics="la la", use_5hz_lm=True, audio_duration=codes // 5,
            inference_steps=steps, batch_size=2,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        for event in following:
            events.append(event)
            if event.ends:
                break
    check_job(events)
    assert {event.data["job_id"] for event in events[1:]} == {answer.json()["job_id"]}
    progress = [e.data["progress"] for e in events if e.name in ("stage", "progress")]
    last = {one["stage"]: (one["step"], one["total"]) for one in progress}
    assert list(last) == [
        *("metadata", "codes", "waiting", "encoding", "diffusion", "vae", "storing"),
    ]
    # Each of the two takes has its own codes.
    assert (last["codes"], last["diffusion"]) == ((2 * codes, 2 * codes), (steps, steps))
    assert (last["vae"], last["storing"]) == ((2, 2), (2, 2))
    assert progress[-1]["fraction"] == 1.0


def test_the_lms_own_caption_is_what_the_decoder_reads(turbo: Service) -> None:
    job, samples = song(
        turbo, caption="piano", lyrics="la", use_5hz_lm=True, use_cot_caption=True,
        audio_duration=10,
    )  # fmt: skip
    result = job["result"]
    fields = {
        "lyrics": "la", "audio_code_string": result["audio_codes"], "bpm": result["bpm"],
        "key_scale": result["keyscale"], "time_signature": result["timesignature"],
        "use_random_seed": False, "seed": result["seed_value"],
        "vocal_language": result["vocal_language"],
    }  # fmt: skip
    _, again = song(turbo, caption=result["lm_caption"], **fields)
    np.testing.assert_array_equal(samples, again)
    _, other = song(turbo, caption="piano", **fields)
    assert np.abs(samples - other).max() > 1e-4


def test_the_same_job_gets_the_same_plan(turbo: Service) -> None:
    fields: dict[str, Any] = {
        "caption": "slow", "use_5hz_lm": True, "audio_duration": 10, "use_random_seed": False,
        "seed": 5,
    }  # fmt: skip
    (one, _), (two, _) = song(turbo, **fields), song(turbo, **fields)
    assert one["result"]["audio_codes"] == two["result"]["audio_codes"]
    assert one["result"]["metas"] == two["result"]["metas"]


def test_each_take_has_its_own_plan_which_its_seed_gives_alone(turbo: Service) -> None:
    fields: dict[str, Any] = {
        "caption": "slow", "use_5hz_lm": True, "audio_duration": 10, "bpm": 90, "key_scale": "Am",
        "time_signature": "4", "lm_cfg_scale": 2, "use_random_seed": False, "inference_steps": 2,
        "audio_format": "wav32",
    }  # fmt: skip
    together = turbo.make(**fields, seed="5,9,6,7")["result"]
    codes = together["take_audio_codes"]
    assert len(set(codes)) == 4
    assert "50 codes for each take" in together["generation_info"]
    takes = [turbo.http.get(path).content for path in together["audio_paths"]]
    assert len(set(takes)) == 4
    alone = turbo.make(**fields, seed=9, batch_size=1)["result"]
    assert alone["take_audio_codes"] == [codes[1]]
    replay = fields | {"use_5hz_lm": False, "audio_code_string": together["audio_codes"]}
    again = turbo.make(**replay, seed=together["seed_value"])["result"]
    assert [turbo.http.get(path).content for path in again["audio_paths"]] == takes


def test_codes_from_the_client(turbo: Service) -> None:
    codes = "".join(f"<|audio_code_{n * 97}|>" for n in range(31))
    _, samples = song(turbo, caption="piano", audio_code_string=codes)
    assert len(samples) == 31 * 5 * 1920


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_cover(turbo: Service, strength: float) -> None:
    _, samples = song(
        turbo, {"src_audio": wav(6)}, task_type="cover", audio_cover_strength=strength
    )
    assert len(samples) == 6 * 48_000


@pytest.mark.parametrize("task", ["text2music", "cover", "repaint"])
def test_the_default_sentences_of_instruction_change_nothing(turbo: Service, task: str) -> None:
    """Clients have one as the field's default, and send it with every task."""

    def made(**more: str) -> Any:
        files = {} if task == "text2music" else {"src_audio": wav(2)}
        fields: dict[str, Any] = {"use_random_seed": False, "seed": 3, "audio_duration": 2}
        _, samples = song(turbo, files, caption="x", task_type=task, **fields, **more)
        return samples

    plain = made()
    sentence = "Fill the audio semantic mask based on the given conditions:"
    np.testing.assert_array_equal(made(instruction=sentence), plain)
    assert np.abs(made(instruction="Sing it low:") - plain).max() > 1e-4


def test_repaint_keeps_what_lies_outside(turbo: Service) -> None:
    source = wav(6, 48_000)
    _, samples = song(
        turbo, {"src_audio": source}, task_type="repaint", repainting_start=2, repainting_end=4
    )
    before, _ = soundfile.read(io.BytesIO(source), dtype="float32")
    assert len(samples) == 6 * 48_000
    for outside in (slice(0, 2 * 48_000), slice(4 * 48_000, None)):
        np.testing.assert_allclose(samples[outside, 0], before[outside], atol=1e-6)
    assert np.abs(samples[2 * 48_000 : 4 * 48_000, 0] - before[2 * 48_000 : 4 * 48_000]).max() > 0.1


def test_repaint_beyond_the_source_outpaints(turbo: Service) -> None:
    _, samples = song(
        turbo, {"src_audio": wav(4)}, task_type="repaint", repainting_start=-1, repainting_end=6
    )
    assert len(samples) == 7 * 48_000


def test_a_reference_changes_the_style(turbo: Service) -> None:
    fields: dict[str, Any] = {
        "caption": "x",
        "audio_duration": 6,
        "use_random_seed": False,
        "seed": 7,
    }
    _, plain = song(turbo, **fields)
    _, styled = song(turbo, {"reference_audio": wav(3)}, **fields)
    assert np.abs(plain - styled).max() > 1e-4


def test_a_task_of_base_models_is_refused_by_turbo(turbo: Service) -> None:
    answer = request(turbo, {"src_audio": wav(2)}, task_type="lego", track_name="drums")
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json()["errors"]] == ["task_type"]


def test_what_turbo_ignores_comes_back_as_a_warning(turbo: Service) -> None:
    answer = request(turbo, caption="x", audio_duration=2, guidance_scale=5).json()
    assert any("guidance_scale" in warning for warning in answer["warnings"])
    turbo.finish(answer["job_id"])


def test_a_prompt_that_cannot_fit_is_refused_at_submit(turbo: Service) -> None:
    """20,000 characters of lyrics are more than fits into the language model's context."""
    lyrics = "ж ☃ 音" * 3500
    answer = request(turbo, caption="x", lyrics=lyrics, use_5hz_lm=True, audio_duration=600)
    assert answer.status_code == 422, answer.text
    assert [entry["field"] for entry in answer.json()["errors"]] == ["lyrics"]
    assert "context" in answer.json()["detail"]


def test_the_agent_skill_of_upstreams_api(turbo: Service) -> None:
    """Its request as it sends it by default: the language model writes the song, then plans it."""
    client = UpstreamClient(turbo.url)
    with client.http:
        assert client.get("/health")["llm_initialized"] is True
        assert client.http.get(f"{client.url}/v1/models").json()["data"][0]["id"]
        body = {
            "prompt": "",
            "lyrics": "",
            "sample_query": "a sad song about rain",
            "thinking": True,
            "use_format": True,
            "use_cot_caption": True,
            "use_cot_language": True,
            "vocal_language": "en",
            "audio_format": "mp3",
            "use_random_seed": True,
            "audio_duration": 10,
            "batch_size": 1,
            "inference_steps": 2,
        }
        (take,) = client.takes(client.release(body))
        assert take["prompt"] and take["lyrics"] and take["metas"]["duration"] == 10
        assert 30 <= take["metas"]["bpm"] <= 300
        assert abs(len(client.audio(take)) - 10 * RATE) < RATE // 10
