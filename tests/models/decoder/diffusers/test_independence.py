"""A job's audio does not depend on other jobs before it or beside it, and does not affect them."""

import random
import threading

import numpy as np
import pytest
import torch

from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, alike, music, request, source

pytestmark = pytest.mark.skipif(
    DEVICE.type != "cpu", reason="bit for bit is promised on the CPU alone"
)

SOURCE = source(200_000)
JOBS: list[tuple[DecodeRequest, Sources]] = [
    (request(seconds=3.0, seeds=(1, 2), guidance_scale=5.0), Sources()),
    (request(codes=(tuple(range(30)),), seeds=(1,), cover_strength=0.5), Sources()),
    (request(task="repaint", repaint_start=1.0, repaint_end=2.0, seeds=(5,)), SOURCE),
    (request(task="cover", seeds=(6,)), SOURCE),
    (
        request(seconds=4.0, steps=3),
        Sources(reference=music(90_000, seed=2), reference_rate=44_100),
    ),
]


@pytest.fixture(scope="module")
def alone(base: Tiny) -> list[list[Samples]]:
    return [base.samples(*job) for job in JOBS]


def test_after_others(base: Tiny, alone: list[list[Samples]]) -> None:
    for index in (4, 2, 0, 3, 1, 0, 2):
        assert alike(base.samples(*JOBS[index]), alone[index])


def test_beside_others(base: Tiny, alone: list[list[Samples]]) -> None:
    """Nothing in the engine is shared, so even two jobs in it at once cannot affect one another."""
    made: dict[int, list[Samples]] = {}
    busy = threading.Event()

    def load() -> None:
        while not busy.is_set():
            torch.manual_seed(random.randrange(1000))
            torch.randn(300, 300) @ torch.randn(300, 300)

    def make(index: int) -> None:
        made[index] = base.samples(*JOBS[index])

    loader = threading.Thread(target=load)
    workers = [threading.Thread(target=make, args=(index,)) for index in range(len(JOBS))]
    for thread in (loader, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    busy.set()
    loader.join()
    for index, samples in made.items():
        assert alike(samples, alone[index]), index
    assert len(made) == len(JOBS)


def test_in_another_engine(base: Tiny, alone: list[list[Samples]]) -> None:
    """A retry may run on another replica, and that may have just started."""
    takes = DiffusersDecoder(base.loaded, DEVICE).generate(*JOBS[0], lambda *_: None)
    assert alike([take.samples for take in takes], alone[0])


def test_the_global_random_states_stay_as_they_are(base: Tiny) -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    for job in JOBS:
        base.samples(*job)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2][1])  # type: ignore[index]


def test_gradients_and_inference_mode_do_not_leak_to_the_caller(base: Tiny) -> None:
    for _ in base.engine.generate(JOBS[0][0], Sources(), lambda *_: None):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
