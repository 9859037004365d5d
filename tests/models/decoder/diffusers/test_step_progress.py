"""Steps are reported when the device has done them, and the next one is queued before that."""

import pytest
import torch

from acestep_ray.decoder.diffusers.step_progress import StepProgress


class Device:
    """Stands in for CUDA: what was queued, waited for and reported, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.events = 0

    def event(self) -> "Event":
        self.events += 1
        return Event(self, self.events)

    def report(self, step: int) -> None:
        self.log.append(f"reported {step}")


class Event:
    def __init__(self, device: Device, number: int) -> None:
        self.device, self.number = device, number

    def record(self, stream: object) -> None:
        self.device.log.append(f"queued {self.number}")

    def synchronize(self) -> None:
        self.device.log.append(f"done {self.number}")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(torch.cuda, "Event", device.event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    return device


def test_each_step_is_queued_before_the_one_before_it_is_waited_for(cuda: Device) -> None:
    progress = StepProgress(torch.device("cuda", 0), cuda.report)
    for step in (1, 2, 3):
        progress.after_step(step)
    progress.finish()
    progress.finish()
    assert cuda.log == [
        "reported 0",
        "queued 1",
        "queued 2", "done 1", "reported 1",
        "queued 3", "done 2", "reported 2",
        "done 3", "reported 3",
    ]  # fmt: skip


def test_a_processor_has_done_a_step_when_it_returns() -> None:
    reported: list[int] = []
    progress = StepProgress(torch.device("cpu"), reported.append)
    progress.after_step(1)
    assert reported == [0, 1]
    progress.finish()
    assert reported == [0, 1]


def test_nothing_more_is_queued_after_a_cancel(cuda: Device) -> None:
    def report(step: int) -> None:
        if step == 1:
            raise InterruptedError

    progress = StepProgress(torch.device("cuda", 0), report)
    progress.after_step(1)
    with pytest.raises(InterruptedError):
        progress.after_step(2)
    assert cuda.log == ["queued 1", "queued 2", "done 1"]
