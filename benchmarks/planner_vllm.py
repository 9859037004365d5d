"""Plans per second of the ``vllm`` planner, many at once, compared with ``pt``, one after another.

Same weights and requests, in one run and in turns; the table gives medians and their ratios. Then
the time to a plan's metadata, alone and while others write codes. Without a checkpoint the model is
random and small: speed does not depend on the values of the weights.

    python benchmarks/planner_vllm.py --at-once 1 4 16 --rounds 3
    python benchmarks/planner_vllm.py --checkpoint checkpoints/acestep-5Hz-lm-0.6B
"""

import argparse
import asyncio
import statistics
import tempfile
from contextlib import aclosing
from pathlib import Path
from time import perf_counter

import torch

from acestep_ray.planner.protocol import Plan, PlannerEngine, PlanRequest
from acestep_ray.planner.transformers.engine import TransformersPlanner
from acestep_ray.planner.transformers.tiny import make_tiny_lm
from acestep_ray.planner.vllm.engine import VllmPlanner
from acestep_ray.settings import Lm, Settings

LYRICS = "The rain has come to stay with me\nand I have nowhere else to be\n" * 6
SCALE = 2.5


class Contest:
    """Both engines, with one checkpoint."""

    def __init__(self, checkpoint: Path, seconds: float, most: int, caption_tokens: int) -> None:
        settings = Settings(
            planner="vllm",
            checkpoints=checkpoint.parent,
            lm=Lm(
                model=checkpoint.name,
                max_concurrent_plans=most,
                caption_tokens=caption_tokens,
            ),
        )
        self.vllm = VllmPlanner.load(settings)
        self.pt = TransformersPlanner.load(settings)
        self._seconds = seconds
        self._made = 0

    def request(self, guided: bool) -> PlanRequest:
        """Another song."""
        self._made += 1
        return PlanRequest(
            job_id=str(self._made),
            attempt=1,
            caption="a slow piano ballad with soft drums and a sad voice",
            lyrics=LYRICS,
            duration=self._seconds,
            seed=self._made,
            cfg_scale=SCALE if guided else 1.0,
            use_cot_caption=True,
        )

    async def at_once(self, engine: PlannerEngine, count: int, guided: bool) -> float:
        """Seconds that ``count`` plans take if they are requested at the same time."""
        begun = perf_counter()
        await asyncio.gather(*(written(engine, self.request(guided)) for _ in range(count)))
        return perf_counter() - begun

    async def first_metadata(self, others: int) -> float:
        """Seconds to a plan's metadata while ``others``, guided, write codes."""
        writing = asyncio.Semaphore(0)

        async def other() -> None:
            async with aclosing(self.vllm.plan(self.request(guided=True))) as events:
                async for event in events:
                    if not isinstance(event, Plan) and (event.stage, event.step) == ("codes", 0):
                        writing.release()

        tasks = [asyncio.create_task(other()) for _ in range(others)]
        for _ in tasks:
            await writing.acquire()
        begun = perf_counter()
        request = self.request(guided=False).model_copy(update={"infer_type": "dit"})
        await written(self.vllm, request)
        taken = perf_counter() - begun
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return taken


async def written(engine: PlannerEngine, request: PlanRequest) -> None:
    """Read one plan to its end."""
    async with aclosing(engine.plan(request)) as events:
        async for _ in events:
            pass


async def compare(contest: Contest, at_once: list[int], rounds: int) -> None:
    """Print the table, line by line."""
    await contest.vllm.check()
    await contest.at_once(contest.pt, 1, guided=True)  # its first plan fills the caches
    show(f"{'plans/s':<24}{'vllm':>8}{'pt':>8}{'ratio':>8}")
    for guided in (False, True):
        for count in at_once:
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(count / await contest.at_once(contest.vllm, count, guided))
                theirs.append(1 / await contest.at_once(contest.pt, 1, guided))
            one, other = statistics.median(ours), statistics.median(theirs)
            name = f"{'guided' if guided else 'unguided'}, {count} at once"
            show(f"{name:<24}{one:>8.3f}{other:>8.3f}{one / other:>8.2f}")
    alone, loaded = [], []
    for _ in range(rounds):
        alone.append(await contest.first_metadata(0))
        loaded.append(await contest.first_metadata(max(at_once) - 1))
    one, other = statistics.median(alone), statistics.median(loaded)
    show(f"seconds to metadata: alone {one:.2f}, beside {max(at_once) - 1} guided plans that write")
    show(f"codes {other:.2f}, {other / one:.1f} times")


def show(line: str) -> None:
    """Print it now: a run takes minutes."""
    print(line, flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--checkpoint", type=Path, help="folder of an LM; none: a random one")
    parser.add_argument("--seconds", type=float, default=30.0, help="of song, five codes each")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--caption-tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.checkpoint
        if folder is None:
            folder = Path(scratch) / "acestep-5Hz-lm-random"
            make_tiny_lm(folder, hidden=given.hidden, layers=given.layers, head_dim=64)
        contest = Contest(folder, given.seconds, max(given.at_once), given.caption_tokens)
        show(
            f"{folder.name}, {given.threads} threads, songs of {given.seconds:g} s, captions of at "
            f"most {given.caption_tokens} tokens, median of {given.rounds}"
        )
        await compare(contest, given.at_once, given.rounds)
        await contest.vllm.close()
        await contest.pt.close()


if __name__ == "__main__":
    asyncio.run(main())
