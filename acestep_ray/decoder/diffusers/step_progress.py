"""Reports the steps of the diffusion when the device has done them, without making it wait."""

from collections.abc import Callable

import torch


class StepProgress:
    """``report`` gets 0 at once, and the number of each step when the device has ended it.

    CUDA only queues work. Waiting for a step before the next one is queued would leave the device
    idle meanwhile; so each step is queued first, and then the one before it is waited for. Not more
    than two steps are queued: if ``report`` raises, the device ends the one after that, too.
    """

    def __init__(self, device: torch.device, report: Callable[[int], None]) -> None:
        self._device = device
        self._report = report
        self._queued: tuple[int, torch.cuda.Event] | None = None
        report(0)

    def after_step(self, step: int) -> None:
        """The work of this step was queued; the first is 1."""
        if self._device.type != "cuda":
            self._report(step)
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        before, self._queued = self._queued, (step, event)
        self._reached(before)

    def finish(self) -> None:
        """Wait for the last step."""
        before, self._queued = self._queued, None
        self._reached(before)

    def _reached(self, queued: tuple[int, torch.cuda.Event] | None) -> None:
        if queued is not None:
            step, event = queued
            event.synchronize()
            self._report(step)
