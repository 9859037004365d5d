"""Codes per second of the ``pt`` planner engine compared with ``transformers.generate``.

Same weights, same prompts, same number of codes, in one process and in turns; the table gives the
medians and their ratios. Without a checkpoint the model is random and of medium size: speed does
not depend on the values of the weights.

    python benchmarks/planner_pt.py --seconds 30 --threads 2
    python benchmarks/planner_pt.py --checkpoint checkpoints/acestep-5Hz-lm-0.6B --device cuda
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from transformers import Qwen3ForCausalLM
from transformers.utils import logging

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.prompts import codes_prompt, unconditional_prompt
from acestep_ray.planner.sampling import Sampling
from acestep_ray.planner.tokens import END_OF_TEXT
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import default_device, load_lm
from acestep_ray.planner.transformers.phases import write_codes
from acestep_ray.planner.transformers.tiny import make_tiny_lm
from acestep_ray.settings import Lm
from acestep_ray.timebase import codes_of_seconds

CAPTION = "A slow, dreamy piano ballad with soft female vocals and warm strings. " * 3
LYRICS = "[Verse]\nThe rain has come to stay with me\nand I have nowhere else to be\n" * 6
SCALE = 2.5


class Contest:
    """One model, loaded twice: as this engine loads it, and as transformers does."""

    def __init__(self, folder: Path, device: torch.device, count: int) -> None:
        self.lm: LanguageModel = load_lm(folder, Lm(device=str(device)))
        self.peer = Qwen3ForCausalLM.from_pretrained(folder, dtype=self.lm.model.dtype)
        self.peer.to(device)
        self.count = count
        cot = Given(bpm=90, keyscale="C major", language="en", timesignature="4")
        encode = self.lm.tokenizer.encode
        self.cond = encode(codes_prompt(CAPTION, LYRICS, cot))
        self.uncond = encode(unconditional_prompt(""))

    @torch.inference_mode()
    def engine(self, temperature: float, guided: bool) -> None:
        prompts = [self.cond, self.uncond] if guided else [self.cond]
        sampling = Sampling(seed=1, temperature=temperature, cfg_scale=SCALE if guided else 1.0)
        write_codes(self.lm.rows(prompts, self.count), self.count, [sampling])

    @torch.inference_mode()
    def generate(self, temperature: float, guided: bool) -> None:
        """transformers may write any token, at no extra cost, but not end too early."""
        device = self.lm.device
        ids = torch.tensor([self.cond], device=device)
        options: dict[str, Any] = {"do_sample": temperature > 0}
        if temperature > 0:
            options |= {"temperature": temperature, "top_k": 0}
        if guided:
            uncond = torch.tensor([self.uncond], device=device)
            options |= {"guidance_scale": SCALE, "negative_prompt_ids": uncond}
        found = self.peer.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            min_new_tokens=self.count,
            max_new_tokens=self.count,
            pad_token_id=END_OF_TEXT,
            **options,
        )
        assert isinstance(found, torch.Tensor)
        assert found.shape[1] == len(self.cond) + self.count


def measure(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Median seconds of both, in turns, after one round that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for run, kept in zip((one, other), times, strict=True):
            begun = perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                kept.append(perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--checkpoint", type=Path, help="folder of an LM; none: a random one")
    parser.add_argument("--device", type=torch.device, default=default_device())
    parser.add_argument("--seconds", type=float, default=30.0, help="of song, five codes each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.checkpoint
        if folder is None:
            folder = Path(scratch) / "acestep-5Hz-lm-random"
            make_tiny_lm(folder, hidden=given.hidden, layers=given.layers, head_dim=64)
        contest = Contest(folder, given.device, codes_of_seconds(given.seconds))
        lines = [
            f"{folder.name} on {given.device}, {given.threads} threads, prompt of "
            f"{len(contest.cond)} tokens, {contest.count} codes, median of {given.rounds}",
            f"{'':<20}{'engine':>12}{'generate':>12}{'ratio':>8}",
        ]
        for guided in (False, True):
            for temperature in (0.0, 0.6):
                engine, generate = measure(
                    partial(contest.engine, temperature, guided),
                    partial(contest.generate, temperature, guided),
                    given.rounds,
                )
                name = f"{'guided' if guided else 'unguided'}, T={temperature:g}"
                ours, theirs = contest.count / engine, contest.count / generate
                lines.append(f"{name:<20}{ours:>8.1f} t/s{theirs:>8.1f} t/s{ours / theirs:>8.2f}")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
