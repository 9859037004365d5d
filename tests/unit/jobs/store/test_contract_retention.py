"""Contract: how long jobs, ids and keys are kept, and what is left to remove."""

from dataclasses import replace

import pytest

from acestep_ray.jobs.store.errors import JobExpired, JobNotFound
from acestep_ray.jobs.store.operations import (
    AckGarbage,
    Cancel,
    Delete,
    Get,
    ListGarbage,
    Purge,
    Submit,
)
from tests.unit.jobs.store.contract import StoreHarness

PURGE = Purge(keep=100, keep_expired=1000, keep_idempotency=50)


def test_ended_jobs_expire_and_are_forgotten(bench: StoreHarness) -> None:
    bench.succeed("a")
    bench.submit("b")
    bench.now += 100
    assert bench.do(PURGE) == 0
    assert bench.get("a").result == "result of a"
    bench.now += 0.1
    assert bench.do(PURGE) == 1
    with pytest.raises(JobExpired):
        bench.do(Get("a"))
    bench.now += 1000
    assert bench.do(PURGE) == 0
    with pytest.raises(JobExpired):
        bench.do(Get("a"))
    bench.now += 0.1
    bench.do(PURGE)
    with pytest.raises(JobNotFound):
        bench.do(Get("a"))
    assert bench.get("b").position == 1  # what has not ended never expires


def test_a_purge_takes_the_oldest_first_and_no_more_than_its_limit(bench: StoreHarness) -> None:
    for job_id in "abcde":
        bench.succeed(job_id)
    bench.now += 200
    purge = replace(PURGE, limit=2)
    assert bench.do(purge) == 2
    assert set(bench.statuses()) == {"c", "d", "e"}
    assert [bench.do(purge) for _ in range(3)] == [2, 1, 0]


def test_a_deleted_id_is_forgotten_too(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(Delete("a"))
    bench.now += 1000.1
    bench.do(PURGE)
    with pytest.raises(JobNotFound):
        bench.do(Get("a"))


def test_an_idempotency_key_is_kept_for_its_time(bench: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, idempotency_key="k", fingerprint="f")
    bench.do(submit)
    bench.now += 50
    bench.do(PURGE)
    assert bench.do(replace(submit, job_id="b")).job_id == "a"
    bench.now += 0.1
    bench.do(PURGE)
    assert bench.do(replace(submit, job_id="b", fingerprint="g")).created


def test_the_key_of_an_expired_job_is_free_again(bench: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, idempotency_key="k")
    bench.do(submit)
    bench.do(Cancel("a"))
    bench.now += 2
    bench.do(Purge(keep=1, keep_expired=1000, keep_idempotency=1000))
    assert bench.do(replace(submit, job_id="b")).created


def test_what_is_gone_is_garbage_until_it_is_collected(bench: StoreHarness) -> None:
    for job_id in "abc":
        bench.succeed(job_id)
    assert bench.do(ListGarbage()) == []
    bench.do(Delete("c"))
    bench.now += 200
    bench.do(PURGE)
    assert bench.do(ListGarbage()) == ["c", "a", "b"]
    assert bench.do(ListGarbage(limit=1)) == ["c"]
    assert bench.do(AckGarbage(("c", "a", "unknown"))) is None
    assert bench.do(AckGarbage(("c", "a"))) is None
    bench.reopen()
    assert bench.do(ListGarbage()) == ["b"]
    with pytest.raises(JobExpired):
        bench.do(Get("a"))
    bench.now += 2000  # the id is forgotten; its audio still lies about
    bench.do(PURGE)
    assert bench.do(ListGarbage()) == ["b"]
