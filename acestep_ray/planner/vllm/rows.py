"""The rows of vLLM's batch that are written here, and the choice of their next tokens.

The sampler is that of every engine, so a song does not depend on the other rows of the batch. In
the rows that are returned to vLLM, only one token is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acestep_ray.planner.sampling import Phase, Sampler, on_device, step_keys
from acestep_ray.planner.tokens import CODES, FIRST_CODE, IM_END, IM_START
from acestep_ray.planner.vllm.row_order import RowOrder

_LEGAL = {
    Phase.METADATA: slice(0, FIRST_CODE),  # the grammar has already masked what it forbids
    Phase.CODES: slice(FIRST_CODE, FIRST_CODE + CODES),
    Phase.LYRICS: slice(0, IM_END + 1),  # text and what ends it; IM_START between them is masked
}


@dataclass(eq=False)
class Row:
    """A request in vLLM's batch. Rows are sampled in the order of their ``number``: vLLM's order
    changes."""

    number: int
    order: RowOrder | None
    """None for the unconditional half of a pair, which writes the tokens of the other half."""
    pair: str | None
    written: Sequence[int] = ()
    """The tokens that it has written, if vLLM provides them as a list that grows."""
    seen: Tensor | None = None
    """[CODES] bool: the codes that it has written, if their repetition is penalised."""


@dataclass(frozen=True)
class Place:
    """A row in one step: the index of its logits, and how many tokens it has written.

    ``step`` is 0 or below while its prompt is being read.
    """

    row: Row
    index: int
    step: int


class RowWriter:
    """Chooses the next token of every row of a step, without waiting for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._samplers: dict[Phase, tuple[list[Row], Sampler]] = {}
        self._unseen = torch.zeros(CODES, dtype=torch.bool, device=device)
        self._left = torch.zeros((), device=device)
        self._rows = 0

    def row(self, order: RowOrder | None, pair: str | None, written: Sequence[int] = ()) -> Row:
        """A row that enters the batch, or returns to it."""
        self._rows += 1
        row = Row(self._rows, order, pair, written)
        if order is not None and order.sampling.repetition_penalty != 1:
            row.seen = self._unseen.clone()
            codes = [token - FIRST_CODE for token in written if token >= FIRST_CODE]
            if codes:
                row.seen[torch.tensor(codes, device=self._device)] = True
        return row

    def write(self, logits: Tensor, places: Iterable[Place]) -> None:
        """Leave one token in the logits of each place, [rows, vocabulary], float32. In place."""
        ordered = sorted(places, key=lambda place: place.row.number)
        halves = {place.row.pair: place.index for place in ordered if place.row.order is None}
        for phase, legal in _LEGAL.items():
            group = [
                (place, place.row.order)
                for place in ordered
                if place.row.order is not None and place.row.order.phase is phase
            ]
            if group:
                self._write(logits, legal, phase, group, halves)

    def _write(
        self,
        logits: Tensor,
        legal: slice,
        phase: Phase,
        group: list[tuple[Place, RowOrder]],
        halves: dict[str | None, int],
    ) -> None:
        places = [place for place, _ in group]
        # An unguided row is its own other half: base + 1 * (row - base) is exactly the row. A row
        # whose other half is missing is treated like that too; the scheduler fails it.
        others = [halves.get(place.row.pair, place.index) for place in places]
        keys = [step_keys(order.sampling.seed, phase, [place.step]) for place, order in group]
        table = torch.stack(
            [torch.tensor([place.index for place in places]), torch.tensor(others), torch.cat(keys)]
        )
        here, there, noise = on_device(table, self._device).unbind()
        scores = logits[:, legal]
        guided = any(order.uncond for _, order in group)
        chosen = self._sampler(phase, group).choose(
            _without(IM_START, scores[here]) if phase is Phase.LYRICS else scores[here],
            noise,
            uncond=scores[there] if guided else None,
            seen=self._seen(places),
        )
        for column, place in enumerate(places):
            if place.row.seen is not None:
                place.row.seen.index_fill_(0, chosen[column : column + 1], True)
        logits.index_fill_(0, here, -torch.inf).index_fill_(0, there, -torch.inf)
        for rows in (here, there):
            logits.index_put_((rows, chosen + legal.start), self._left)

    def _sampler(self, phase: Phase, group: list[tuple[Place, RowOrder]]) -> Sampler:
        rows = [place.row for place, _ in group]
        known = self._samplers.get(phase)
        if known is None or known[0] != rows:
            sampler = Sampler([order.sampling for _, order in group], self._device)
            known = self._samplers[phase] = (rows, sampler)
        return known[1]

    def _seen(self, places: list[Place]) -> Tensor | None:
        if all(place.row.seen is None for place in places):
            return None
        for place in places:
            # If a prompt is read in parts, a token is chosen after each part, and then dropped.
            if place.step <= 0 and place.row.seen is not None:
                place.row.seen.zero_()
        return torch.stack(
            [self._unseen if place.row.seen is None else place.row.seen for place in places]
        )


def _without(token: int, scores: Tensor) -> Tensor:
    """Scores [R, W] in which a token cannot be chosen. In place."""
    scores[:, token] = -torch.inf
    return scores
