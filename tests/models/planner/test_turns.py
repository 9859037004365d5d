"""A planner that is on its device only while it works writes the same plans."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acestep_ray.gpu_turn import GpuTurn
from acestep_ray.planner.protocol import Plan, PlannerError, PlanProgress, PlanRequest
from acestep_ray.planner.transformers.engine import TransformersPlanner
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.static_step import StaticSteps
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.settings import Lm, Lyrics
from tests.models.planner.conftest import DEVICE
from tests.service import until

SONG = PlanRequest(
    job_id="a", attempt=1, caption="calm", lyrics="", bpm=90, key_scale="C major",
    time_signature="4", duration=10, seed=3,
)  # fmt: skip


class MovingPlanner:
    """Its turn ends soon after its work. ``static``: the fixed memory of its steps."""

    def __init__(self, folder: Path, locks: Path) -> None:
        lm = load_lm(folder, Lm(device="cpu"))
        lm.model.to(DEVICE)
        self.static = StaticSteps(lm.model, lm.context)
        lm = replace(lm, static=self.static)
        self.turn = GpuTurn(("0",), 0.1, locks)
        self.engine = TransformersPlanner(
            Planning(lm, Lm(), Lyrics(), 60.0), TextWriter(lm, Lm(), Lyrics()), self.turn
        )
        with self.turn.first():
            pass
        self.turn.keep(self.engine)
        self.lm = lm

    async def plan(self) -> Plan:
        *_, plan = [event async for event in self.engine.plan(SONG)]
        assert isinstance(plan, Plan)
        return plan.model_copy(update={"elapsed": 0.0})


@pytest.fixture
async def moving(folder: Path, tmp_path: Path) -> AsyncGenerator[MovingPlanner, None]:
    planner = MovingPlanner(folder, tmp_path)
    yield planner
    await planner.engine.close()
    planner.turn.close()


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """Where the weights were moved."""
    found: list[torch.device] = []
    real = LanguageModel._move

    def move(lm: LanguageModel, device: torch.device) -> None:
        found.append(device)
        real(lm, device)

    monkeypatch.setattr(LanguageModel, "_move", move)
    return found


async def test_a_planner_that_finds_no_room_says_so_and_comes_back(
    moving: MovingPlanner, moves: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: not moving.turn.there, "it stays on its device")
    moves.clear()
    with monkeypatch.context() as patch:

        def full(steps: StaticSteps) -> None:
            raise torch.OutOfMemoryError

        patch.setattr(StaticSteps, "allocate", full)
        with pytest.raises(PlannerError, match="has no room for the language model"):
            await moving.plan()
    assert moves == [torch.device(DEVICE), torch.device("cpu")]
    await moving.plan()
    assert moves[2] == torch.device(DEVICE)


async def test_a_plan_says_that_it_waits_for_the_gpu(moving: MovingPlanner, tmp_path: Path) -> None:
    other = GpuTurn(("0",), 0.0, tmp_path)
    with other.first():
        plan = moving.engine.plan(SONG)
        events = [await anext(plan)]
    other.close()
    events += [event async for event in plan]
    waits = [e.step for e in events if isinstance(e, PlanProgress) and e.stage == "waiting"]
    assert waits == [0, 1]


async def test_a_plan_is_the_same_before_and_after_the_weights_were_away(
    moving: MovingPlanner, planning: Planning
) -> None:
    expected = planning.plan(SONG, lambda *_: None).model_copy(update={"elapsed": 0.0})
    for _ in range(3):
        until(lambda: not moving.turn.there, "it stays on its device")
        assert moving.lm.device == torch.device("cpu")
        assert moving.static._memory is None
        with pytest.raises(AssertionError, match="not on its device"):
            moving.static.step(1, 10)
        assert await moving.plan() == expected
        assert moving.static._memory is not None or not moving.turn.there
