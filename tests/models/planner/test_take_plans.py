"""Each take has its own audio codes, those that its seed gives alone; they are written at once."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import pytest
import torch

from acestep_ray.planner.protocol import Plan, PlanRequest
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.planner.transformers.static_step import StaticSteps
from acestep_ray.settings import Lm, Lyrics

SEEDS = (7, 2**32 - 1, 0, 8)
FORCED = {"bpm": 90, "key_scale": "C major", "time_signature": "4", "duration": 12}


def request(**fields: Any) -> PlanRequest:
    base = {"job_id": "j", "attempt": 1, "caption": "a sad song", "lyrics": "la la la"}
    return PlanRequest.model_validate(base | fields)


def plan(planning: Planning, seeds: Sequence[int], **fields: Any) -> Plan:
    """Of one take, as of a job that has no other; of several, as of one job."""
    several = tuple(seeds) if len(seeds) > 1 else ()
    return planning.plan(request(seed=seeds[0], seeds=several, **fields), lambda *_: None)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"cfg_scale": 2.5},
        {"cfg_scale": 3.0, "temperature": 1.2, "negative_prompt": "noise and hiss, " * 40},
        {"cfg_scale": 2.0, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.3},
        {"top_p": 0.5, "repetition_penalty": 1.3},
    ],
)
def test_four_takes_have_four_plans_each_of_its_seed(how: dict[str, Any], terse: Planning) -> None:
    together = plan(terse, SEEDS, **FORCED, **how)
    alone = [plan(terse, [seed], **FORCED, **how) for seed in SEEDS]
    assert together.take_codes == tuple(one.codes for one in alone)
    assert len(set(together.take_codes)) == 4
    assert together.codes == together.take_codes[0]
    assert {one.metadata for one in alone} == {together.metadata}
    assert not any(one.take_codes for one in alone)  # nothing is stored twice
    other_order = plan(terse, SEEDS[::-1], **FORCED, **how)
    assert other_order.take_codes == together.take_codes[::-1]


def test_the_metadata_are_written_once_from_the_first_seed(terse: Planning) -> None:
    together = plan(terse, SEEDS, duration=12, cfg_scale=2.0)
    first, second = (plan(terse, [seed], duration=12, cfg_scale=2.0) for seed in SEEDS[:2])
    assert together.metadata == first.metadata != second.metadata
    assert together.codes == first.codes
    assert len(set(together.take_codes)) == 4


def test_seeds_that_make_no_difference_cost_nothing(
    terse: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = watch_rows(monkeypatch)
    greedy = plan(terse, SEEDS, **FORCED, temperature=0, cfg_scale=2.0)
    assert greedy.take_codes == (greedy.codes,) * 4
    assert wide.pop() == 2
    twice = plan(terse, (5, 6, 5), **FORCED)
    assert twice.take_codes[0] == twice.take_codes[2] != twice.take_codes[1]
    assert wide.pop() == 2


def test_takes_that_do_not_fit_side_by_side_are_written_in_turns(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica has memory for two rows as long as the context; a job may have eight takes."""
    small = Planning(
        LanguageModel(lm.name, lm.model, lm.tokenizer, 3000, None),
        Lm(caption_tokens=8),
        Lyrics(),
        60,
    )
    seeds = tuple(range(8))
    wide = watch_rows(monkeypatch)
    reported: list[tuple[str, int, int]] = []
    wanted = request(seed=0, seeds=seeds, cfg_scale=2.0, **FORCED)
    together = small.plan(wanted, lambda *event: reported.append(event))
    assert wide == [4, 6, 6]  # two rows for each take
    steps = [step for stage, step, total in reported if stage == "codes" and total == 8 * 60]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 8 * 60
    assert together.take_codes == tuple(
        plan(small, [seed], cfg_scale=2.0, **FORCED).codes for seed in seeds
    )


def test_a_plan_without_codes_has_none_for_any_take(terse: Planning) -> None:
    found = plan(terse, SEEDS, infer_type="dit", duration=12)
    assert (found.codes, found.take_codes, found.sequences) == ((), (), ())


def test_four_plans_take_less_than_four_times_one(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model makes as many steps for four as for one. The times' ratio is only printed: a busy
    machine must not fail this."""
    planning = Planning(lm, Lm(), Lyrics(), 60.0)
    spent: dict[int, list[float]] = {1: [], 4: []}
    steps: dict[int, list[int]] = {1: [], 4: []}
    append = Rows.append
    made = 0

    def counted(self: Rows, tokens: torch.Tensor) -> None:
        nonlocal made
        made += 1
        append(self, tokens)

    monkeypatch.setattr(Rows, "append", counted)
    for _ in range(3):
        for takes, times in spent.items():
            made = 0
            begun = perf_counter()
            found = plan(planning, SEEDS[:takes], **FORCED | {"duration": 30}, cfg_scale=2.0)
            times.append(perf_counter() - begun)
            steps[takes].append(made)
            assert len(found.sequences) == takes
    assert steps[1] == steps[4] and steps[1][0] > 100
    one, four = (median(spent[takes]) for takes in (1, 4))
    with capsys.disabled():
        print(f"\npt: four plans take {four / one:.2f} times as long as one ({one:.2f} s)")  # noqa: T201


def watch_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were written side by side, each time."""
    wide: list[int] = []
    rows = LanguageModel.rows

    def watched(self: LanguageModel, prompts: Sequence[Sequence[int]], room: int) -> Rows:
        wide.append(len(prompts))
        return rows(self, prompts, room)

    monkeypatch.setattr(LanguageModel, "rows", watched)
    return wide


@torch.inference_mode()
def test_the_memory_of_a_replica_holds_what_is_written_side_by_side(lm: LanguageModel) -> None:
    """Otherwise a job of many takes would fail on a GPU, where the memory is allocated at once."""
    context = 3000
    small = LanguageModel(lm.name, lm.model, lm.tokenizer, context, None)
    static = StaticSteps(lm.model, context)
    for columns in (1, 1000, 1024, 1025, 2048, 2049, 3000):
        most = small.most_rows(columns)
        assert most >= 2
        static.step(most, columns)
        with pytest.raises(ValueError, match="rows of"):
            static.step(most + 1, columns)
