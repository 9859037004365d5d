"""Two tiny models, made once per session: a turbo model and a base model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are slower on several threads, and other tests may need the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def float32() -> None:
    """A GPU otherwise computes a float32 convolution with 10 of its 23 bits."""
    torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    make_tiny_checkpoint(folder, turbo=True)
    make_tiny_checkpoint(folder, turbo=False)
    return folder


@pytest.fixture(scope="session")
def turbo(checkpoints: Path) -> Tiny:
    return Tiny.of(load(checkpoints, "acestep-v15-turbo", str(DEVICE), torch.float32))


@pytest.fixture(scope="session")
def base(checkpoints: Path) -> Tiny:
    return Tiny.of(load(checkpoints, "acestep-v15-base", str(DEVICE), torch.float32))
