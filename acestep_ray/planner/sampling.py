"""The sampler of every LM engine: a pure function of seed, step and logits.

It does this, in the same order as ``transformers.generate``:

1. guidance: ``uncond + scale * (cond - uncond)``, in float32, on the logits;
2. repetition penalty, on the tokens that the row has written in this phase: a logit above 0 is
   divided by it, a logit below 0 is multiplied by it (CTRL, arXiv:1909.05858);
3. constraint: the columns contain only legal tokens;
4. temperature; below GREEDY the token with the highest logit is chosen, and 5 to 7 do nothing;
5. top-k;
6. top-p, on the softmax of the tokens that top-k has left: the fewest tokens that reach it, at
   least one;
7. one draw, by the Gumbel-max trick: the largest ``logit + noise``.

The noise of a token is a hash of seed, phase, step and the token's index. So it does not depend on
the other rows of the batch, on the device, on which other tokens are legal, or on earlier draws.
And logits that differ by a rounding error almost always give the same token; inverting a cumulative
sum over 64,000 tokens would not.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import torch
from torch import Tensor

from acestep_ray.planner.protocol import GREEDY, PlanRequest, WriteRequest

_LARGEST = 1e30  # still finite after division by GREEDY
# SplitMix64 (Steele, Lea and Flood, 2014): increment, and its two multipliers, as signed integers.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_MIX = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))


class Phase(Enum):
    """What is being written. Each phase has its own noise."""

    METADATA = "metadata"
    CODES = "codes"
    LYRICS = "lyrics"


@dataclass(frozen=True)
class Sampling:
    """How one row is sampled. None: off."""

    seed: int = 0
    temperature: float = 0.6
    top_k: int | None = None
    top_p: float | None = None
    cfg_scale: float = 1.0
    repetition_penalty: float = 1.0

    @classmethod
    def of_codes(cls, request: PlanRequest) -> tuple[Self, ...]:
        """One for each sequence of audio codes, in the order of ``request.code_seeds``."""
        row = cls.of(request, Phase.CODES)
        return tuple(replace(row, seed=seed) for seed in request.code_seeds)

    @classmethod
    def of(cls, request: PlanRequest | WriteRequest, phase: Phase) -> Self:
        """As the request asks for. Guidance and penalty are only for codes: they distort text,
        whose grammar repeats itself, and end its lines early."""
        codes = request if phase is Phase.CODES and isinstance(request, PlanRequest) else None
        return cls(
            seed=request.seed,
            temperature=request.temperature,
            top_k=request.top_k if request.top_k and request.top_k > 0 else None,
            top_p=request.top_p if request.top_p is not None and request.top_p < 1 else None,
            cfg_scale=max(codes.cfg_scale, 1.0) if codes else 1.0,
            repetition_penalty=codes.repetition_penalty if codes else 1.0,
        )

    @property
    def guided(self) -> bool:
        """Whether the row needs an unconditional partner."""
        return self.cfg_scale > 1


def step_keys(seed: int, phase: Phase, steps: Iterable[int]) -> Tensor:
    """Keys of the noise for steps of one row, [steps] int64 on the CPU: one per ``choose``."""
    return torch.tensor([_key(seed, phase, step) for step in steps], dtype=torch.int64)


def _key(seed: int, phase: Phase, step: int) -> int:
    text = f"{phase.value} {seed} {step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def uniform(keys: Tensor, tokens: Tensor) -> Tensor:
    """Numbers above 0 and below 1, [R, W] float32, for keys [R] and tokens [W], both int64.

    Token ``t`` gets number ``t + 1`` of SplitMix64 seeded with the key; 40 bits of it.
    """
    # Integers overflow in the same way on every device. In place: this is most of a draw's time.
    z = ((tokens + 1) * _GAMMA).add(keys.unsqueeze(1))
    for shift, factor in _MIX:
        z.bitwise_xor_(_shifted(z, shift)).mul_(factor)
    z.bitwise_xor_(_shifted(z, 31))
    numbers: Tensor = _shifted(z, 24).float().add_(0.5).mul_(2.0**-40)
    return numbers.clamp_max_(1 - 2.0**-24)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """``z >> bits`` as for unsigned 64-bit numbers, which torch cannot shift."""
    return (z >> bits).bitwise_and_(2 ** (64 - bits) - 1)


class Sampler:
    """Chooses the next token of each row of a batch. Build a new one if the rows change."""

    def __init__(self, rows: Sequence[Sampling], device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        # Filters and draws apply only to the rows that ask for them; greedy rows change nothing.
        drawn = [row.temperature >= GREEDY for row in rows]
        self._drawn = self._index(i for i, row in enumerate(drawn) if row)
        self._cuts: list[tuple[int | None, Tensor, Tensor]] = []
        for k in {row.top_k for row in rows}:
            cut = [i for i, row in enumerate(rows) if row.top_k == k and drawn[i]]
            if k is None:
                cut = [i for i in cut if rows[i].top_p is not None]
            if cut:
                top_p = [1.0 if (p := rows[i].top_p) is None else p for i in cut]
                self._cuts.append((k, self._index(cut), self._column(top_p)))
        self._temperature = self._column(
            row.temperature if row.temperature >= GREEDY else 1.0 for row in rows
        )
        self._scale = self._column(row.cfg_scale for row in rows)
        self._penalty = self._column(row.repetition_penalty for row in rows)
        self._penalised = any(row.repetition_penalty != 1 for row in rows)

    def choose(
        self,
        logits: Tensor,
        keys: Tensor,
        *,
        uncond: Tensor | None = None,
        seen: Tensor | None = None,
        tokens: Tensor | None = None,
    ) -> Tensor:
        """The chosen column of each row, [R] int64, on the sampler's device.

        ``logits`` [R, W] of any float type: only legal tokens, or minus infinity for the others.
        ``uncond``: the same of the unconditional prompts, for guided rows. ``keys`` [R]: from
        step_keys. ``seen`` [R, W] bool: written before. ``tokens`` [W] int64: the token of each
        column; None: the column's number. NaN and infinity are allowed.
        """
        masked = self._device.type == "cpu" and bool(logits.amin() == -torch.inf)
        if masked and tokens is None and len(self._drawn):
            # With a grammar few columns are legal, and a draw over all takes 5 to 18 ms. (On a GPU,
            # finding them would mean waiting for it.)
            columns = (logits != -torch.inf).any(0).nonzero().squeeze(1)
            if 0 < len(columns) < logits.shape[1]:
                uncond, seen = (x if x is None else x[:, columns] for x in (uncond, seen))
                legal = logits[:, columns]
                return columns[self.choose(legal, keys, uncond=uncond, seen=seen, tokens=columns)]
        scores = logits.float()
        if uncond is not None:
            base = uncond.float()
            scores = base + self._scale * (scores - base)
        scores = torch.nan_to_num(scores, 0.0, _LARGEST, -_LARGEST).clamp_(-_LARGEST, _LARGEST)
        if seen is not None and self._penalised:
            penalised = torch.where(scores > 0, scores / self._penalty, scores * self._penalty)
            scores = torch.where(seen, penalised, scores)
        if not len(self._drawn):
            return scores.argmax(-1)
        scores /= self._temperature
        for k, rows, top_p in self._cuts:
            scores.index_copy_(0, rows, _filtered(scores[rows], k, top_p))
        # -log(-log(u)) is Gumbel noise; log1p is precise near u = 1, where the largest noise is.
        if tokens is None:
            tokens = torch.arange(scores.shape[1], device=scores.device)
        noise = uniform(keys[self._drawn], tokens).neg_().log1p_().neg_().log_()
        return scores.index_add_(0, self._drawn, noise, alpha=-1).argmax(-1)

    def _index(self, rows: Iterable[int]) -> Tensor:
        return on_device(torch.tensor(list(rows), dtype=torch.int64), self._device)

    def _column(self, values: Iterable[float]) -> Tensor:
        column = torch.tensor(list(values), dtype=torch.float32).unsqueeze(1)
        return on_device(column, self._device)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A small CPU tensor on the device, without waiting for the device's work."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _filtered(scores: Tensor, top_k: int | None, top_p: Tensor) -> Tensor:
    """Scores [R, W] with minus infinity outside top-k and top-p [R, 1]. Scores that are equal to
    the last kept one are kept."""
    if top_k is not None and top_k < scores.shape[1]:
        ranked = scores.topk(top_k, dim=-1).values
    else:
        ranked = scores.sort(dim=-1, descending=True).values
    probability = ranked.softmax(-1)
    before = probability.cumsum(-1) - probability
    # Rounding must not drop the last tokens if top-p is 1, nor the best one if it is 0.
    kept = ((before < top_p) | (top_p >= 1)).sum(-1, keepdim=True).clamp_min(1)
    return scores.masked_fill(scores < ranked.gather(-1, kept - 1), -torch.inf)
