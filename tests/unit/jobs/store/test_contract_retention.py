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


def test_ended_jobs_expire_and_are_forgotten(harness: StoreHarness) -> None:
    harness.succeed("a")
    harness.submit("b")
    harness.now += 100
    assert harness.do(PURGE) == 0
    assert harness.get("a").result == "result of a"
    harness.now += 0.1
    assert harness.do(PURGE) == 1
    with pytest.raises(JobExpired):
        harness.do(Get("a"))
    harness.now += 1000
    assert harness.do(PURGE) == 0
    with pytest.raises(JobExpired):
        harness.do(Get("a"))
    harness.now += 0.1
    harness.do(PURGE)
    with pytest.raises(JobNotFound):
        harness.do(Get("a"))
    assert harness.get("b").position == 1  # what has not ended never expires


def test_a_purge_takes_the_oldest_first_and_no_more_than_its_limit(harness: StoreHarness) -> None:
    for job_id in "abcde":
        harness.succeed(job_id)
    harness.now += 200
    purge = replace(PURGE, limit=2)
    assert harness.do(purge) == 2
    assert set(harness.statuses()) == {"c", "d", "e"}
    assert [harness.do(purge) for _ in range(3)] == [2, 1, 0]


def test_a_deleted_id_is_forgotten_too(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(Delete("a"))
    harness.now += 1000.1
    harness.do(PURGE)
    with pytest.raises(JobNotFound):
        harness.do(Get("a"))


def test_an_idempotency_key_is_kept_for_its_time(harness: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, idempotency_key="k", fingerprint="f")
    harness.do(submit)
    harness.now += 50
    harness.do(PURGE)
    assert harness.do(replace(submit, job_id="b")).job_id == "a"
    harness.now += 0.1
    harness.do(PURGE)
    assert harness.do(replace(submit, job_id="b", fingerprint="g")).created


def test_the_key_of_an_expired_job_is_free_again(harness: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, idempotency_key="k")
    harness.do(submit)
    harness.do(Cancel("a"))
    harness.now += 2
    harness.do(Purge(keep=1, keep_expired=1000, keep_idempotency=1000))
    assert harness.do(replace(submit, job_id="b")).created


def test_what_is_gone_is_garbage_until_it_is_collected(harness: StoreHarness) -> None:
    for job_id in "abc":
        harness.succeed(job_id)
    assert harness.do(ListGarbage()) == []
    harness.do(Delete("c"))
    harness.now += 200
    harness.do(PURGE)
    assert harness.do(ListGarbage()) == ["c", "a", "b"]
    assert harness.do(ListGarbage(limit=1)) == ["c"]
    assert harness.do(AckGarbage(("c", "a", "unknown"))) is None
    assert harness.do(AckGarbage(("c", "a"))) is None
    harness.reopen()
    assert harness.do(ListGarbage()) == ["b"]
    with pytest.raises(JobExpired):
        harness.do(Get("a"))
    harness.now += 2000  # the id is removed; its audio is still stored
    harness.do(PURGE)
    assert harness.do(ListGarbage()) == ["b"]
