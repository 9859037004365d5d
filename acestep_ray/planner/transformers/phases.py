"""What the LM writes, token by token: metadata by the grammar, audio codes, lyrics."""

from collections.abc import Callable, Sequence

import torch

from acestep_ray.planner.constraint import GrammarConstraint, MetadataConstraint
from acestep_ray.planner.progress import fields_written
from acestep_ray.planner.sampling import Phase, Sampler, Sampling, step_keys
from acestep_ray.planner.tokens import CODES, END_OF_TEXT, FIRST_CODE, STOP_IDS
from acestep_ray.planner.transformers.rows import Rows

Tick = Callable[[int], None]
"""Receives how far a phase is, before each token; raises to stop it."""

# Text tokens, and of the chat's own tokens only those that end the text.
_LYRICS_TOKENS = torch.tensor([*range(END_OF_TEXT), *sorted(STOP_IDS)])
# Tokens whose kernels may be queued on a GPU before one is waited for: the most that a cancelled
# job still computes.
_TOKEN_BATCH = 16


def ignore_progress(step: int) -> None:
    """A Tick that does nothing and never stops the phase."""


def write_metadata(
    rows: Rows, constraint: MetadataConstraint, sampling: Sampling, tick: Tick = ignore_progress
) -> list[int]:
    """Write the constraint's text after the one prompt of ``rows``.

    ``tick`` receives the number of complete fields. Returns the last tokens, which are not yet in
    ``rows``.
    """
    sampler = Sampler([sampling], rows.device)
    step = 0
    written = constraint.forced()
    while not constraint.done:
        tick(fields_written(constraint.text))
        if written:
            rows.append(torch.tensor(written, device=rows.device))
        key = step_keys(sampling.seed, Phase.METADATA, [step]).to(rows.device)
        legal = torch.from_numpy(constraint.legal()).to(rows.device)
        column = sampler.choose(rows.logits(legal), key, tokens=legal)
        token = int(legal[column])
        constraint.take(token)
        written = [token, *constraint.forced()]
        step += 1
    return written


def write_by_grammar(
    rows: Rows, constraint: GrammarConstraint, sampling: Sampling, tick: Tick = ignore_progress
) -> list[int]:
    """Write the constraint's text after the one prompt of ``rows``, one token at a time, and return
    it; ``tick`` receives how many tokens are written."""
    sampler = Sampler([sampling], rows.device)
    written: list[int] = []
    read = 0  # how many of them are in ``rows``
    while not constraint.done:
        step = len(written)
        tick(step)
        legal = torch.from_numpy(constraint.legal())
        if len(legal) > 1:
            if step > read:
                rows.append(torch.tensor(written[read:], device=rows.device))
                read = step
            key = step_keys(sampling.seed, Phase.METADATA, [step]).to(rows.device)
            legal = legal.to(rows.device)
            legal = legal[sampler.choose(rows.logits(legal), key, tokens=legal)]
        written.append(int(legal))
        constraint.take(written[-1])
    return written


def write_codes(
    rows: Rows, count: int, samplings: Sequence[Sampling], tick: Tick = ignore_progress
) -> list[list[int]]:
    """Write ``count`` audio codes, 0..63999, for each of ``samplings``, side by side; ``tick``
    receives how many each has.

    ``rows``: the conditional prompt once for each, and then, if they are guided, the unconditional
    prompt once for each.
    """
    wide, guided = len(samplings), samplings[0].guided
    sampler = Sampler(samplings, rows.device)
    keys = torch.stack([step_keys(row.seed, Phase.CODES, range(count)) for row in samplings], 1)
    keys = keys.to(rows.device)
    codes = torch.zeros(count, wide, dtype=torch.int64, device=rows.device)
    seen = torch.zeros(wide, CODES, dtype=torch.bool, device=rows.device)
    for step in range(count):
        tick(step)
        logits = rows.logits(slice(FIRST_CODE, FIRST_CODE + CODES))
        uncond = logits[wide:] if guided else None
        chosen = sampler.choose(logits[:wide], keys[step], uncond=uncond, seen=seen)
        codes[step] = chosen
        seen.scatter_(1, chosen.unsqueeze(1), True)
        if step % _TOKEN_BATCH == 0:
            chosen.tolist()  # waits for the GPU
        if step + 1 < count:
            halves = 2 if guided else 1
            rows.append((chosen + FIRST_CODE).repeat(halves).unsqueeze(1))
    written: list[list[int]] = codes.T.tolist()
    return written


def write_lyrics(
    rows: Rows, most: int, sampling: Sampling, tick: Tick = ignore_progress
) -> list[int]:
    """Write free text up to the end of the turn, at most ``most`` tokens. Returns the tokens
    without the one that ends the turn."""
    sampler = Sampler([sampling], rows.device)
    tokens = _LYRICS_TOKENS.to(rows.device)
    written: list[int] = []
    for step in range(most):
        tick(step)
        key = step_keys(sampling.seed, Phase.LYRICS, [step]).to(rows.device)
        token = tokens[sampler.choose(rows.logits(tokens), key, tokens=tokens)]
        if int(token) in STOP_IDS:
            break
        written.append(int(token))
        rows.append(token)
    return written
