"""What one request to vLLM writes, and how. Shared by engine, scheduler and processor.

It is sent as plain values in ``SamplingParams.extra_args``, under one key. vLLM does not check
these values, and an error inside vLLM ends every job of the replica. So an order with illegal
values cannot be made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, cast

from acestep_ray.planner.context import LYRICS_TOKENS, METADATA_TOKENS
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.tokens import VOCABULARY
from acestep_ray.timebase import codes_of_seconds

KEY = "acestep"
"""Key of an order in ``extra_args``."""
PAIR = "acestep_pair"
"""Key in the ``extra_args`` of two rows that are one guided song. The scheduler writes the
request's id there, for the processor. The unconditional row has no order."""
LONGEST_PROMPT = 40_960
"""In tokens: the LM's own context. The scheduler checks the room of a replica."""

_MOST = {
    Phase.METADATA: METADATA_TOKENS,
    Phase.CODES: codes_of_seconds(DURATION_RANGE[1]),
    Phase.LYRICS: LYRICS_TOKENS,
}
_SAMPLING = tuple(field.name for field in fields(Sampling))
_NAMES = {"phase", "count", "uncond", *_SAMPLING}


@dataclass(frozen=True)
class RowOrder:
    """Metadata: at most ``count`` tokens of text, ended by IM_END. Codes: exactly ``count``.
    Lyrics: at most ``count`` tokens of text, ended by one of STOP_IDS or not at all.

    ``uncond``: token ids of the unconditional prompt if ``sampling`` is guided, else empty. Raises
    ValueError, with one sentence that names the field, for every illegal value.
    """

    phase: Phase
    sampling: Sampling
    count: int
    uncond: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check every value and its type, because it may come from a client."""
        if not isinstance(self.phase, Phase):
            raise ValueError("phase must be metadata, codes or lyrics.")
        row = self.sampling
        if not isinstance(row, Sampling):
            raise ValueError("sampling must be a Sampling.")
        _whole("count", self.count, 1, _MOST[self.phase])
        _whole("seed", row.seed, 0, 2**32 - 1)
        _real("temperature", row.temperature, 0, 2)
        if row.top_k is not None:
            _whole("top_k", row.top_k, 1, 2**31 - 1)
        if row.top_p is not None:
            _real("top_p", row.top_p, 0, 1)
        _real("cfg_scale", row.cfg_scale, 1, 20)
        _real("repetition_penalty", row.repetition_penalty, 0, 2)
        if not row.repetition_penalty:
            raise ValueError("repetition_penalty must be above 0.")
        if self.phase is not Phase.CODES and (row.guided or row.repetition_penalty != 1):
            raise ValueError(
                "cfg_scale and repetition_penalty must be 1 where no codes are written."
            )
        if not isinstance(self.uncond, tuple) or len(self.uncond) > LONGEST_PROMPT:
            raise ValueError(f"uncond must be token ids, at most {LONGEST_PROMPT} of them.")
        if row.guided != bool(self.uncond):
            raise ValueError("uncond must be there where cfg_scale is above 1, and only there.")
        for token in self.uncond:
            _whole("a token id in uncond", token, 0, VOCABULARY - 1)

    def to_extra_args(self) -> dict[str, Any]:
        """The order as ``SamplingParams.extra_args``, which from_extra_args can read."""
        sampling = {name: getattr(self.sampling, name) for name in _SAMPLING}
        order = {"phase": self.phase.value, "count": self.count, "uncond": list(self.uncond)}
        return {KEY: order | sampling}

    @classmethod
    def from_extra_args(cls, extra_args: object) -> Self:
        """The order in ``extra_args``, which may contain other values too. Raises ValueError as
        above, also if there is no order."""
        order = extra_args.get(KEY) if isinstance(extra_args, Mapping) else None
        if not isinstance(order, Mapping):
            raise ValueError(f"extra_args must hold an order under {KEY!r}.")
        if odd := _NAMES.symmetric_difference(order):
            names = ", ".join(sorted(str(name)[:40] for name in odd)[:4])
            raise ValueError(f"an order has exactly {', '.join(sorted(_NAMES))}: see {names}.")
        try:
            phase = Phase(order["phase"])
        except ValueError:
            raise ValueError("phase must be metadata, codes or lyrics.") from None
        uncond = order["uncond"]
        return cls(
            phase=phase,
            sampling=Sampling(**{name: order[name] for name in _SAMPLING}),
            count=cast(int, order["count"]),
            uncond=tuple(uncond) if isinstance(uncond, list) else cast(tuple[int, ...], uncond),
        )


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:  # not bool, which is an int too
        raise ValueError(f"{name} must be a whole number from {low} to {high}.")


def _real(name: str, value: object, low: float, high: float) -> None:
    if type(value) not in (int, float) or not low <= cast(float, value) <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}.")  # NaN is in no range
