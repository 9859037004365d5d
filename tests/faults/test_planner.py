"""The planner replica is killed during a plan: that plan is made again, and no other one."""

from tests.faults.drill import Drill
from tests.service import Service


def test_planner(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs, use_5hz_lm=True, audio_duration=10)
    drill.until_running("codes")
    table["planner replica, in mid-plan"] = drill.recovery(
        lambda: service.kill("ray::ServeReplica:acestep:Planner")
    )
    for job in drill.all_succeed():
        if job["job_id"] in drill.ids[:jobs]:
            assert job["result"]["audio_codes"].count("<|audio_code_") == 50


def test_planner_that_writes(service: Service, jobs: int, table: dict[str, float]) -> None:
    """A text that was not finished is written again: no song is made without its words."""
    drill = Drill(
        service, jobs, caption="", sample_query="a song about rain", use_5hz_lm=True,
        audio_duration=10,
    )  # fmt: skip
    drill.until_running("writing")
    table["planner replica, while it writes"] = drill.recovery(
        lambda: service.kill("ray::ServeReplica:acestep:Planner")
    )
    for job in drill.all_succeed():
        if job["job_id"] in drill.ids[:jobs]:
            assert "song about rain" in job["result"]["lm_lyrics"]
            assert job["result"]["audio_codes"].count("<|audio_code_") == 50
