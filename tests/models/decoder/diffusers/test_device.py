"""Where the model runs, in which number type, and how running out of memory is recognised."""

import pytest
import torch

from acestep_ray.decoder.diffusers.device import (
    choose_device,
    choose_dtype,
    device_label,
    free_memory,
    memory_of,
    ran_out_of_memory,
)

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda:1"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, there: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert choose_device("auto") == torch.device(expected)


def test_named_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("cuda:3") == torch.device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="no device that torch knows"):
        choose_device("gpu")


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_auto_takes_bfloat16_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_dtype("auto", CUDA) == expected
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("fp32", CUDA) == torch.float32
    with pytest.raises(ValueError, match="no number type"):
        choose_dtype("int8", CUDA)


def test_the_cpu_has_no_memory_of_its_own() -> None:
    assert memory_of(CPU) is None
    assert device_label(CPU) == "cpu"
    free_memory(CPU)


def test_what_torch_says_when_memory_runs_out() -> None:
    """Its CPU allocator raises a plain RuntimeError."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 58, dtype=torch.uint8)
    assert ran_out_of_memory(caught.value)
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert ran_out_of_memory(MemoryError())
    assert not ran_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not ran_out_of_memory(ValueError("out of memory"))
