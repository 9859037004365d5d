"""The traces and the log of the common service, whose runner is killed in the middle.

Who looks for what became of a song finds one tree of spans, whatever died meanwhile, and every line
about the song by its ids; neither holds a word that a user wrote.
"""

import json
import time
from typing import Any
from uuid import uuid4

from tests.faults.drill import Drill
from tests.otlp_receiver import OtlpReceiver, Received, children, roots
from tests.service import Service, until

CLIENTS_SPAN = "b7ad6b7169203331"
WORD = "zyxomarkerword"
"""It is in every text that this module sends."""
SONG: dict[str, Any] = {
    "caption": f"slow {WORD} song",
    "lyrics": f"[Verse]\n{WORD} in the rain\nand {WORD} again",
    "use_5hz_lm": True,
    "audio_duration": 10,
    "batch_size": 2,
}
STAGES = {"planner": {"codes"}, "decoder": {"diffusion", "storing"}}


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line of the log as an object."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_job_is_one_tree_though_its_runner_was_killed(
    service: Service, traces: OtlpReceiver, jobs: int
) -> None:
    began_at = service.log.stat().st_size
    drill = Drill(service, jobs, **SONG)
    drill.until_running("codes")
    drill.until_running("diffusion")
    killed_at: list[float] = []

    def kill() -> None:
        service.kill("ray::ServeReplica:acestep:Runner")
        killed_at.append(time.time())

    drill.recovery(kill)
    finished = {job["job_id"]: job for job in drill.all_succeed()}
    assert max(job["attempts"] for job in finished.values()) >= 2, "no job was in the middle"
    own = [
        job_id
        for job_id, job in finished.items()
        # The runner may not have sent the last spans of jobs that had just ended.
        if job["result"]["duration"] == 10 and job["finished_at"] > killed_at[0]
    ]
    for job_id in own:
        _check_tree(traces.whole_trace_of(job_id), job_id)
    # Work that a killed runner began in an engine is there, too.
    cut = [job_id for job_id in own if finished[job_id]["attempts"] >= 2]
    seen = [{s.attempt for s in traces.trace_of(one) if s.name in STAGES} for one in cut]
    assert any(len(attempts) >= 2 for attempts in seen)

    with service.log.open() as log:
        log.seek(began_at)
        text = log.read()
    _check_lines(text[: text.rindex("\n")], own)


def _check_tree(spans: list[Received], job_id: str) -> None:
    (root,) = roots(spans)
    assert (root.name, root.parent) == ("POST /v1/music/generate", ""), spans
    below = children(spans)
    (submit,) = below[root.span]
    assert submit.name == "submit" and submit.attributes["acestep.job_id"] == job_id
    names = [span.name for span in below[submit.span]]
    assert {"queue", "plan", "planner", "decode", "decoder", "store", "job"} >= set(names)
    for name, stages in STAGES.items():
        engines = [span for span in below[submit.span] if span.name == name]
        assert engines, f"no span of the {name}"
        for engine in engines:
            assert engine.attributes["acestep.job_id"] == job_id
        found = {stage.name for stage in below[engines[-1].span]}
        assert found >= stages
    processes = {span.process for span in spans}
    assert processes >= {"Ingress", "Runner", "Planner", "Decoder"}


def _check_lines(text: str, job_ids: list[str]) -> None:
    """Every line is JSON, and those of a job hold its ids."""
    lines = lines_of(text)
    for line in lines:
        assert {"time", "level", "process", "logger", "message"} <= line.keys(), line
        assert "Logging error" not in line["message"], text
    for job_id in job_ids:
        about = [line for line in lines if line.get("job_id") == job_id]
        said = {(line["process"], line["message"].split(" after")[0]) for line in about}
        assert said >= {("Ingress", "The job is queued."), ("Runner", "The job succeeded")}
        assert len({line["request_id"] for line in about}) == 1, about
        assert all("attempt" in line and "trace_id" in line for line in about)
        # Nothing is said about a job without its ids.
        loose = [one for one in lines if job_id in one["message"] and one["logger"] != "ray"]
        assert all(line.get("job_id") == job_id for line in loose), loose


def test_a_clients_trace_and_id_are_taken_over(service: Service, traces: OtlpReceiver) -> None:
    trace = uuid4().hex  # each store has a service, and all send to one receiver
    headers = {"traceparent": f"00-{trace}-{CLIENTS_SPAN}-01", "X-Request-ID": "my-song-7"}
    answer = service.http.post("/v1/music/generate", json=SONG, headers=headers)
    assert answer.headers.get_list("X-Request-ID") == ["my-song-7"]
    job_id = answer.json()["job_id"]
    service.finish(job_id)
    spans = traces.whole_trace_of(job_id)
    (root,) = roots(spans)
    assert (root.trace, root.parent) == (trace, CLIENTS_SPAN)
    assert any(line.get("request_id") == "my-song-7" for line in lines_of_now(service))


def lines_of_now(service: Service) -> list[dict[str, Any]]:
    """The lines of its log, as far as they are whole."""
    return lines_of("\n".join(service.log.read_text().split("\n")[:-1]))


def test_a_text_that_a_client_waits_for_is_traced(service: Service, traces: OtlpReceiver) -> None:
    trace = uuid4().hex
    headers = {"traceparent": f"00-{trace}-{CLIENTS_SPAN}-01"}
    song = {"prompt": f"jazz {WORD}", "lyrics": f"la {WORD}"}
    assert service.http.post("/format_input", json=song, headers=headers).json()["code"] == 200

    def there() -> bool:
        return {s.name for s in traces.spans(trace)} >= {"POST /format_input", "write", "planner"}

    until(there, "the text is not traced")
    (root,) = roots(traces.spans(trace))
    assert root.name == "POST /format_input"


def test_a_made_id_is_returned_once(service: Service) -> None:
    for path in ("/health", "/v1/jobs/550e8400-e29b-41d4-a716-446655440000"):
        (made,) = service.http.get(path).headers.get_list("X-Request-ID")
        assert len(made) == 36


def test_no_word_of_a_user_is_logged_or_traced(service: Service, traces: OtlpReceiver) -> None:
    """The last test of this module: its word was in captions, lyrics, descriptions and texts."""
    described = {"sample_mode": True, "sample_query": f"a {WORD} about rain"}
    service.make(**described, use_5hz_lm=True, audio_duration=10, batch_size=1)
    service.make(**{**SONG, "use_format": True})
    for wrong in ({"lyrics": WORD * 10_000}, {"caption": [WORD]}, {"bpm": WORD}, {WORD: 1}):
        service.http.post("/v1/music/generate", json={**SONG, **wrong})
        service.http.post("/release_task", json={"prompt": WORD, **wrong})
    cancelled = service.submit(**{**SONG, "audio_duration": 600})
    service.http.post(f"/v1/jobs/{cancelled}/cancel")
    service.http.post("/v1/music/generate", content=f'{{"caption": "{WORD}"')
    service.finish(cancelled)
    assert WORD not in str(traces.spans())
    logs = {file: file.read_text(errors="replace") for file in service.log_files()}
    assert any("The job succeeded" in text for file, text in logs.items() if file != service.log)
    assert [str(file) for file, text in logs.items() if WORD in text] == []
