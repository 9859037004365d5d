"""Seeds are fixed when a job is submitted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.api.request.field_values import MAX_SEED, RANDOM, fix_seeds
from tests.unit.api.harness import ApiHarness, field_errors


async def test_random_seeds_differ_and_are_kept(api: ApiHarness) -> None:
    first, second = await api.spec(batch_size=8), await api.spec(batch_size=8)
    assert len({*first.decode.seeds, *second.decode.seeds}) == 16
    assert all(0 <= seed <= MAX_SEED for seed in first.decode.seeds)


@pytest.mark.parametrize(
    ("seed", "batch_size", "seeds"),
    [
        (0, 1, (0,)),
        (0, None, (0, 1)),
        ("0", 3, (0, 1, 2)),
        (MAX_SEED, 3, (MAX_SEED, 0, 1)),
        ("1,2,3", None, (1, 2, 3)),
        ([9, 4], 2, (9, 4)),
        ([5], 3, (5, 6, 7)),
        ([7, 7], None, (7, 7)),
    ],
)
async def test_seeds(
    api: ApiHarness, seed: object, batch_size: int | None, seeds: tuple[int, ...]
) -> None:
    spec = await api.spec(seed=seed, batch_size=batch_size, use_random_seed=False)
    assert spec.decode.seeds == seeds


async def test_minus_one_is_random_for_its_take(api: ApiHarness) -> None:
    first = (await api.spec(seed="5,-1", use_random_seed=False)).decode.seeds
    second = (await api.spec(seed=[5, -1], use_random_seed=False)).decode.seeds
    assert first[0] == second[0] == 5 and first[1] != second[1]
    alone = await api.spec(seed=-1, use_random_seed=False, batch_size=4)
    assert len(set(alone.decode.seeds)) == 4


@pytest.mark.parametrize("batch_size", [1, 2, 4])
async def test_as_many_seeds_as_takes(api: ApiHarness, batch_size: int) -> None:
    errors = field_errors(
        await api.submit(seed=[1, 2, 3], batch_size=batch_size, use_random_seed=False)
    )
    assert f"batch_size is {batch_size}" in errors["seed"] and "3 seeds" in errors["seed"]


async def test_a_seed_beside_use_random_seed_is_reported(api: ApiHarness) -> None:
    for answer in (
        await api.submit(seed=0),
        await api.submit(seed=[1, 2, 3], use_random_seed=True, batch_size=2),
    ):
        reported = (
            "seed is not used: use_random_seed is true, which is its default; send "
            "use_random_seed: false with it."
        )
        assert answer.json()["warnings"] == [reported]
        job = await api.http.get(f"/v1/jobs/{answer.json()['job_id']}")
        assert job.json()["warnings"] == [reported]
    for quiet in (await api.submit(seed=-1), await api.submit(seed=0, use_random_seed=False)):
        assert "warnings" not in quiet.json()


@given(st.integers(0, MAX_SEED), st.integers(1, 8))
def test_one_seed_goes_on(seed: int, takes: int) -> None:
    fixed = fix_seeds((seed,), takes)
    assert fixed == tuple((seed + n) % 2**32 for n in range(takes))


@given(st.lists(st.integers(RANDOM, MAX_SEED), min_size=2, max_size=8))
def test_given_seeds_stay(wanted: list[int]) -> None:
    fixed = fix_seeds(tuple(wanted), len(wanted))
    assert all(want in (have, RANDOM) for have, want in zip(fixed, wanted, strict=True))
    assert all(0 <= seed <= MAX_SEED for seed in fixed)
