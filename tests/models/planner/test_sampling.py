"""The sampler draws as documented, from seed, step and logits alone."""

import hashlib
import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from acestep_ray.planner.protocol import PlanRequest
from acestep_ray.planner.sampling import Phase, Sampler, Sampling, step_keys, uniform

WIDTH = 12
torch.manual_seed(0)
LOGITS = torch.randn(1, WIDTH) * 2


def keys(count: int, seed: int = 0) -> Tensor:
    return step_keys(seed, Phase.CODES, range(count))


def choose(sampling: Sampling, logits: Tensor = LOGITS, step: int = 0, **more: Tensor) -> int:
    key = step_keys(sampling.seed, Phase.CODES, [step])
    return int(Sampler([sampling]).choose(logits, key, **more))


def greedy(**more: float) -> Sampling:
    return Sampling(temperature=0, **more)  # type: ignore[arg-type]


def test_noise_is_splitmix64() -> None:
    """The published test vector for seed 1234567; another hash would give other songs."""
    vector = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    found = uniform(torch.tensor([1234567]), torch.arange(5))[0].tolist()
    assert found == pytest.approx([number / 2**64 for number in vector], rel=1e-6)


def test_keys_do_not_change() -> None:
    """Replay across versions: these numbers are part of the meaning of a seed."""
    digest = hashlib.blake2b(b"codes 7 1", digest_size=8).digest()
    second = int.from_bytes(digest, "little", signed=True)
    assert step_keys(7, Phase.CODES, [0, 1]).tolist() == [-1718447871569299037, second]


def test_noise_is_uniform_and_never_at_its_ends() -> None:
    numbers = uniform(keys(40), torch.arange(64_000))
    assert 0 < numbers.min() < numbers.max() < 1
    assert numbers.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert numbers.var().item() == pytest.approx(1 / 12, abs=1e-3)
    ends = uniform(torch.tensor([-1, 0, 2**63 - 1, -(2**63)]), torch.arange(10_000))
    assert (-torch.log1p(-ends)).log().isfinite().all()


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "scale"),
    [
        (1.0, None, None, 1.0),
        (0.6, 5, None, 1.0),
        (0.85, None, 0.9, 3.0),
        (2.0, 6, 0.8, 1.5),
        (0.7, None, 0.0, 1.0),
        (1.3, 100, 1.0, 2.0),
    ],
)
def test_frequencies_are_those_of_the_formulas(
    temperature: float, top_k: int | None, top_p: float | None, scale: float
) -> None:
    """Against plain arithmetic, by a chi-squared test at far less than one in a million."""
    torch.manual_seed(1)
    uncond = torch.randn(1, WIDTH) * 2
    expected = by_hand(
        [u + scale * (c - u) for c, u in zip(LOGITS[0].tolist(), uncond[0].tolist(), strict=True)],
        temperature,
        top_k,
        top_p,
    )
    draws = 20_000
    row = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, cfg_scale=scale)
    sampler = Sampler([row] * draws)
    guided = uncond.expand(draws, -1) if scale > 1 else None
    chosen = sampler.choose(LOGITS.expand(draws, -1), keys(draws), uncond=guided)
    found = Counter(chosen.tolist())
    assert set(found) <= {token for token, p in enumerate(expected) if p}
    chi2 = sum((found[t] - draws * p) ** 2 / (draws * p) for t, p in enumerate(expected) if p)
    assert chi2 < 60


def by_hand(
    scores: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> list[float]:
    best = sorted(range(len(scores)), key=lambda token: -scores[token])[: top_k or len(scores)]
    weights = {token: math.exp(scores[token] / temperature) for token in best}
    kept: list[int] = []
    reached = 0.0
    for token in best:
        if kept and top_p is not None and top_p < 1 and reached >= top_p:
            break
        kept.append(token)
        reached += weights[token] / sum(weights.values())
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(scores))]


def test_guidance_is_in_float32_and_leads_away_from_uncond() -> None:
    cond, uncond = torch.tensor([[1.0, 1.1, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert choose(greedy(cfg_scale=1.5), cond) == 1
    assert choose(greedy(cfg_scale=1.5), cond, uncond=uncond) == 0  # 1.5 beats 1.15
    # In bfloat16 both guided logits, 255.4 and 255.7, would be 256.
    cond, uncond = torch.tensor([[254.0, 255.0]]), torch.tensor([[252.0, 254.0]])
    assert choose(greedy(cfg_scale=1.7), cond.bfloat16(), uncond=uncond.bfloat16()) == 1


def test_penalty_comes_after_guidance_and_before_temperature() -> None:
    seen = torch.tensor([[True, False, True]])
    row = greedy(repetition_penalty=2.0)
    assert choose(row, torch.tensor([[3.0, 1.6, -1.0]]), seen=seen) == 1  # 3 is halved
    assert choose(row, torch.tensor([[3.0, 1.4, -1.0]]), seen=seen) == 0
    assert choose(row, torch.tensor([[-1.0, -1.9, -1.0]]), seen=seen) == 1  # -1 is doubled
    # Guided, the first is -2, penalised -4; penalised before it would be 0.5, guided -3.
    cond, uncond = torch.tensor([[1.0, -3.5]]), torch.tensor([[4.0, -3.5]])
    seen = torch.tensor([[True, False]])
    row = greedy(repetition_penalty=2.0, cfg_scale=2.0)
    assert choose(row, cond, uncond=uncond, seen=seen) == 1


def test_top_p_is_taken_after_temperature_and_top_k() -> None:
    # At temperature 1 the best has 0.57 of the mass, at 0.25 it has 0.98: more than 0.9 alone.
    logits = torch.tensor([[2.0, 1.0, 0.9, -9.0]])
    cold = Sampling(temperature=0.25, top_p=0.9)
    assert {choose(cold, logits, step) for step in range(200)} == {0}
    warm = Sampling(temperature=1.0, top_p=0.9)
    assert {choose(warm, logits, step) for step in range(200)} == {0, 1, 2}
    # Among the best two alone, the first has 0.73.
    both = Sampling(temperature=1.0, top_k=2, top_p=0.7)
    assert {choose(both, logits, step) for step in range(200)} == {0}


def test_a_row_is_drawn_alike_alone_and_among_any_neighbours() -> None:
    torch.manual_seed(2)
    rows = [
        Sampling(seed=1, temperature=0.6),
        Sampling(seed=2, temperature=0.0),
        Sampling(seed=3, temperature=2.0, top_k=7),
        Sampling(seed=4, temperature=1.0, top_p=0.8, repetition_penalty=1.3),
        Sampling(seed=5, temperature=0.9, top_k=7, top_p=0.5, cfg_scale=2.5),
        Sampling(seed=5, temperature=0.9, top_k=50, top_p=1.0),
    ]
    logits, uncond = torch.randn(2, len(rows), 5000)
    seen = torch.rand(len(rows), 5000) < 0.2
    for step in range(20):
        key = torch.cat([step_keys(row.seed, Phase.CODES, [step]) for row in rows])
        together = Sampler(rows).choose(logits, key, uncond=uncond, seen=seen).tolist()
        alone = [
            choose(row, logits[i : i + 1], step, uncond=uncond[i : i + 1], seen=seen[i : i + 1])
            for i, row in enumerate(rows)
        ]
        assert together == alone


def test_what_else_is_legal_does_not_change_a_tokens_noise() -> None:
    tokens = torch.tensor([3, 5, 6, 11])
    row = Sampling(temperature=1.5)
    for step in range(50):
        all_but_these = LOGITS.clone()
        all_but_these[:, [i for i in range(WIDTH) if i not in tokens.tolist()]] = -1e9
        column = choose(row, LOGITS[:, tokens], step, tokens=tokens)
        assert int(tokens[column]) == choose(row, all_but_these, step)


def test_what_is_masked_is_as_if_it_were_not_there() -> None:
    torch.manual_seed(5)
    rows = [Sampling(seed=1, temperature=0.8, top_k=5), Sampling(seed=2, top_p=0.7), Sampling()]
    logits = torch.randn(3, 200)
    masked = torch.rand(200) < 0.8
    whole = logits.masked_fill(masked, -torch.inf)
    whole[0, (~masked).nonzero()[:3]] = -torch.inf  # legal only for others
    legal = (~masked).nonzero().squeeze(1)
    sampler = Sampler(rows)
    for step in range(50):
        keys = torch.cat([step_keys(row.seed, Phase.METADATA, [step]) for row in rows])
        chosen = sampler.choose(whole, keys)
        assert torch.equal(chosen, legal[sampler.choose(whole[:, legal], keys, tokens=legal)])
        assert torch.isfinite(whole.gather(1, chosen.unsqueeze(1))).all()
    assert sampler.choose(torch.full((3, 9), -torch.inf), keys).max() < 9


def test_seeds_steps_and_phases_draw_differently() -> None:
    logits = torch.zeros(1, 64_000)
    chosen = {
        int(Sampler([Sampling(seed=seed)]).choose(logits, step_keys(seed, phase, [step])))
        for seed in (0, 1, 2**32 - 1)
        for phase in Phase
        for step in (0, 1, 2999)
    }
    assert len(chosen) == 27


def test_a_rounding_error_rarely_changes_a_draw() -> None:
    """Engines differ in the last bits; songs must not."""
    torch.manual_seed(3)
    logits = torch.randn(40, 64_000)
    sampler = Sampler([Sampling(temperature=1.0)] * 40)
    one = sampler.choose(logits, keys(40))
    other = sampler.choose(logits * (1 + 1e-6 * torch.randn_like(logits)), keys(40))
    assert (one == other).sum() >= 39


@pytest.mark.parametrize("temperature", [0.0, 1e-9, 2e-5, 0.6, 2.0])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_broken_weights_give_a_choice_all_the_same(temperature: float, poison: float) -> None:
    logits = torch.full((1, WIDTH), poison)
    row = Sampling(temperature=temperature, top_k=3, top_p=0.5, cfg_scale=2.0)
    assert 0 <= choose(row, logits, uncond=logits) < WIDTH
    logits[0, 4] = 1.0
    assert 0 <= choose(row, logits, uncond=LOGITS) < WIDTH


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_temperature_zero_is_greedy(temperature: float) -> None:
    row = Sampling(temperature=temperature, top_k=3, top_p=0.1)
    assert {choose(row, step=step) for step in range(20)} == {int(LOGITS.argmax())}


def test_a_request_is_guided_and_penalised_in_its_codes_alone() -> None:
    request = PlanRequest(
        job_id="j",
        attempt=1,
        caption="",
        lyrics="",
        seed=9,
        temperature=0.7,
        cfg_scale=2.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.2,
    )
    codes = Sampling.of(request, Phase.CODES)
    assert codes == Sampling(9, 0.7, None, None, 2.0, 1.2)
    assert codes.guided
    assert Sampling.of(request, Phase.METADATA) == Sampling(9, 0.7, None, None, 1.0, 1.0)
    half = request.model_copy(update={"cfg_scale": 0.5, "top_p": 0.0, "top_k": 4})
    assert Sampling.of(half, Phase.CODES) == Sampling(9, 0.7, 4, 0.0, 1.0, 1.2)
    assert not Sampling.of(half, Phase.CODES).guided
