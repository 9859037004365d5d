"""Which replicas fit onto the GPUs, as Ray places them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.errors import GpuMemoryError
from acestep_ray.replicas.placement import GpuRequest, free_after, room_for


def test_parts_share_a_gpu_and_whole_ones_do_not() -> None:
    shared = [GpuRequest("Planner", 0.4, 1), GpuRequest("Decoder", 0.6, 1)]
    assert free_after(shared, [1]) == [[pytest.approx(0.0)]]
    assert (
        free_after([GpuRequest("Planner", 1, 1), GpuRequest("Decoder", 1, 2)], [4])[0].count(1.0)
        == 1
    )


def test_a_part_lies_on_one_gpu() -> None:
    """Three times 0.6 is less than two GPUs, but does not fit onto them."""
    with pytest.raises(GpuMemoryError) as refusal:
        free_after([GpuRequest("Decoder", 0.6, 3)], [2])
    assert str(refusal.value).startswith(
        "3 Decoder of num_gpus 0.6 = 1.8 GPUs do not fit onto 2 GPUs"
    )


def test_several_gpus_lie_on_one_node() -> None:
    free_after([GpuRequest("Decoder", 2, 2)], [2, 2])
    with pytest.raises(GpuMemoryError, match="4 GPUs on 4 nodes"):
        free_after([GpuRequest("Decoder", 2, 1)], [1, 1, 1, 1])


def test_the_sum_names_every_part() -> None:
    with pytest.raises(GpuMemoryError) as refusal:
        free_after(
            [
                GpuRequest("Planner", 0.5, 1),
                GpuRequest("Decoder", 0.6, 1),
                GpuRequest("Mock", 0, 9),
            ],
            [1],
        )
    assert "1 Planner of num_gpus 0.5 + 1 Decoder of num_gpus 0.6 = 1.1 GPUs" in str(refusal.value)
    assert "onto 1 GPU " in str(refusal.value)
    assert "Mock" not in str(refusal.value)


def test_what_is_small_does_not_keep_the_large_out() -> None:
    """The order of requests has no effect: Ray moves no replica, but starts small ones later."""
    requests = [GpuRequest("Planner", 0.5, 2), GpuRequest("Decoder", 1, 1)]
    assert free_after(requests, [2])


@pytest.mark.parametrize(
    ("num_gpus", "requests", "nodes", "room"),
    [
        (1, [GpuRequest("Planner", 1, 1)], [8], 7),
        (1, [GpuRequest("Planner", 0.5, 1)], [8, 8], 15),
        (0.5, [GpuRequest("Planner", 0.5, 1)], [2], 3),
        (0.3, [], [1], 3),
        (2, [GpuRequest("Planner", 1, 1)], [4, 3], 2),
        (0, [], [4], 0),
        (1, [], [], 0),
    ],
)
def test_room_for_more(
    num_gpus: float, requests: list[GpuRequest], nodes: list[int], room: int
) -> None:
    assert room_for(num_gpus, requests, nodes) == room


tenths = st.integers(1, 10).map(lambda n: n / 10)


@given(
    st.lists(st.builds(GpuRequest, st.just("d"), tenths, st.integers(0, 5)), max_size=5),
    st.lists(st.integers(0, 4), max_size=3),
)
def test_no_gpu_is_given_twice(requests: list[GpuRequest], nodes: list[int]) -> None:
    asked = sum(one.num_gpus * one.replicas for one in requests)
    try:
        free = free_after(requests, nodes)
    except GpuMemoryError:
        assert asked > 0.5 * sum(nodes)  # first fit fills every GPU but one to more than half
        return
    assert all(left >= -1e-5 for node in free for left in node)
    assert sum(map(sum, free)) == pytest.approx(sum(nodes) - asked)
