"""How the front door grows with ingress replicas: by a run, and by a calculation.

Polls and submits through HAProxy with 1, 2 and 4 ingress replicas, and the processor time that each
part of the service takes for a request. Polls are those of one job, which an ingress replica
answers from memory, and those of many that have not ended: each is read from the job store actor at
most once a second by each replica. On a machine where the cores are the limit, more replicas bring
nothing. What they bring where each has a core of its own follows from these times: all ingress
replicas together, HAProxy (with as many threads as it has cores), and for submits the job store
actor, which has one thread, each allow so many requests a second; the smallest number counts.

    python -m benchmarks.growth
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import httpx

from benchmarks.front_door import ENDLESS, SONG, SUBMIT, ask, poll_address
from benchmarks.service import PROXIES, figure, processor_seconds_by_part, service

REPLICAS = (1, 2, 4)
LIVE = 500
"""Jobs that wait, and are polled one after another."""
POLL, POLL_LIVE, SUBMITS = "poll", f"poll of {LIVE} live jobs", "submit"
IN_TURNS = """local paths, at = {%s}, 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""
INGRESS, ACTOR = "ingress replicas", "job store actor"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="of one turn")
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("This benchmark needs wrk: sudo apt-get install wrk")
    print("replicas  request                responses/s   ms of processor per request, by part")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "request.lua"
        for replicas in REPLICAS:
            with service({**ENDLESS, **PROXIES["HAProxy"]}, replicas) as (url, process):
                for what in (POLL, POLL_LIVE, SUBMITS):
                    address = poll_address(url) if what == POLL else f"{url}/v1/music/generate"
                    sent = None if what == POLL else script
                    script.write_text(SUBMIT if what == SUBMITS else IN_TURNS % live_paths(url))
                    ask(address, options.connections, 1, sent)  # what is loaded once is loaded
                    before = processor_seconds_by_part(process)
                    turn = ask(address, options.connections, options.seconds, sent)
                    after = processor_seconds_by_part(process)
                    if turn.wrong:
                        raise SystemExit(f"{turn.wrong} requests failed.")
                    requests = turn.rate * options.seconds
                    ms = {part: 1e3 * (after[part] - before[part]) / requests for part in after}
                    show(replicas, what, turn.rate, ms)


def live_paths(url: str) -> str:
    """Paths of jobs that wait, as Lua strings; submits as many as are missing."""
    with httpx.Client(base_url=url, timeout=60) as http:
        while http.get("/v1/stats").json()["queued"] < LIVE:
            http.post("/v1/music/generate", json=SONG).raise_for_status()
        found: list[str] = []
        page = {"status": "queued", "limit": "100"}
        while len(found) < LIVE:
            answer = http.get("/v1/jobs", params=page).raise_for_status().json()
            found += [job["job_id"] for job in answer["jobs"]]
            page["cursor"] = answer["next_cursor"]
    return ", ".join(f'"/v1/jobs/{job_id}"' for job_id in found[:LIVE])


def show(replicas: int, what: str, rate: float, ms: dict[str, float]) -> None:
    """Print a row, and with one replica what a replica and the actor allow."""
    parts = ", ".join(f"{part} {spent:.2f}" for part, spent in sorted(ms.items()))
    print(f"{replicas:>8}  {what:<21} {rate:>12.0f}   {parts}; load {os.getloadavg()[0]:.1f}")
    if replicas > 1:
        figure(
            f"{what}s with {replicas} ingress replicas on {os.cpu_count()} cores", f"{rate:.0f}/s"
        )
        return
    by_ingress = 1e3 / ms[INGRESS]
    print(f"          an ingress replica with a core of its own allows {by_ingress:.0f}/s")
    figure(
        f"{what}s a second that one ingress replica on a core of its own can answer (calculated)",
        f"{by_ingress:.0f}",
    )
    if what != SUBMITS:
        return  # polls are answered from the memory of the ingress replicas, or nearly
    by_actor = 1e3 / ms[ACTOR]
    print(
        f"          the job store actor allows {by_actor:.0f}/s: it is the limit from "
        f"{by_actor / by_ingress:.1f} replicas on"
    )
    figure(
        f"{what}s a second that the job store actor can take (calculated)",
        f"{by_actor:.0f}",
    )


if __name__ == "__main__":
    main()
