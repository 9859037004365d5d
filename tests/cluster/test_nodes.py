"""Two dozen decoders on three nodes, each on a GPU of its own; a node that dies costs no job."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.conftest import GPUS, NODES
from tests.cluster.nodes import ClusterService
from tests.service import until

JOBS = 500
SONG = {"audio_duration": 1, "inference_steps": 5, "batch_size": 1, "audio_format": "wav"}


def test_each_decoder_has_a_gpu_of_its_own(service: ClusterService) -> None:
    service.until_replicas("Decoder", NODES * GPUS)
    decoders = service.replicas("Decoder")
    # A replica that saw other GPUs than its own would not have started.
    assert {len(one.gpus) for one in decoders} == {1}
    assert len({(one.node, one.gpus) for one in decoders}) == NODES * GPUS
    assert set(Counter(one.node for one in decoders).values()) == {GPUS}
    planners = service.replicas("Planner")
    assert [one.gpus for one in planners] == [()]  # it requested no GPU, and sees none


def test_no_job_waits_for_a_decoder_that_is_busy_while_another_is_idle(
    service: ClusterService,
) -> None:
    """Each decoder takes two jobs, the second to have it ready: with as many jobs as decoders, two
    jobs could be at each of half the decoders."""
    song = SONG | {"inference_steps": 200}

    def all_at_once() -> bool:
        with ThreadPoolExecutor(8) as clients:
            jobs = range(NODES * GPUS)
            ids = list(clients.map(lambda _: service.submit(**song), jobs))

        def stages() -> set[str | None]:
            jobs = [service.job(job_id) for job_id in ids]
            ended = {"ended" for job in jobs if job["status"] in ("succeeded", "failed")}
            return ended | {(job["progress"] or {}).get("stage") for job in jobs}

        found = until(
            lambda: (now := stages()) & {"ended"} or now == {"diffusion"}, "some job waits"
        )
        for job_id in ids:
            service.http.post(f"/v1/jobs/{job_id}/cancel")  # 409: it has ended
        return found is True

    # On a busy machine the first may end before the last begins.
    assert any(all_at_once() for _ in range(5))


def test_a_node_dies_in_the_middle_of_its_jobs(service: ClusterService) -> None:
    """What would break for whom: a third of the clients would wait for ever."""
    before = service.ended()
    with ThreadPoolExecutor(4) as clients:
        accepted = [
            clients.submit(service.insist, f"job {n}", caption=f"job {n}", **SONG)
            for n in range(JOBS)
        ]
        until(lambda: service.ended() - before >= JOBS // 10, "no jobs ended")
        # The node whose loss is hardest: the job store actor has to find another node that allows
        # it.
        service.kill_node(service.node_of_store())
        assert service.ended() - before < JOBS * 3 // 4
        ids = [each.result() for each in accepted]
    until(lambda: service.ended() - before == JOBS, "not all jobs ended")
    jobs = [service.job(job_id) for job_id in ids]
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert len({job["job_id"] for job in jobs}) == JOBS
    for job in jobs:
        (path,) = job["result"]["audio_paths"]
        assert service.http.head(path).status_code == 200, job
    lost = [job for job in jobs if job["attempts"] > 1]
    assert lost  # it died while it worked on jobs
    service.until_replicas("Decoder", (NODES - 1) * GPUS)
