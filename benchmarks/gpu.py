"""Seconds and GPU memory of the real engines at their real sizes, beside the service's own sums.

Speed and memory do not depend on the values of the weights, so random ones serve. Each model is
measured in a process of its own. Needs the engines' libraries, but not Ray, and no installation of
this package: it also runs where nothing can be installed.

    python -m benchmarks.gpu --make FOLDER    # random weights: 2B, XL, LMs of 0.6B and 1.7B; 25 GB
    python -m benchmarks.gpu FOLDER           # every model in it, random or published
    python -m benchmarks.gpu --tiny           # tiny random models, on a CPU too: does it run?
"""

import argparse
import asyncio
import logging
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from acestep_ray.decoder.checkpoints.layout import DIT_PREFIX
from acestep_ray.decoder.checkpoints.sizes import FULL_2B, FULL_XL, TINY, Size
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from acestep_ray.planner.checkpoint_folder import PREFIX, find_lm
from acestep_ray.planner.protocol import Plan, PlanRequest
from acestep_ray.planner.transformers.engine import TransformersPlanner
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.static_step import COLUMNS_STEP
from acestep_ray.planner.transformers.tiny import make_tiny_lm
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.replicas.gpu_memory import Need, needs_of_decoder, needs_of_planner
from acestep_ray.settings import Lm, Settings
from acestep_ray.settings.dit import Dit

CAPTION = "A slow, dreamy piano ballad with soft female vocals and warm strings. " * 3
LYRICS = "[Verse]\nThe rain has come to stay with me\nand I have nowhere else to be\n" * 12
STEPS = 8
FORCED = {"bpm": 90, "key_scale": "C major", "time_signature": "4", "vocal_language": "en"}
PLAN = {"job_id": "measured", "attempt": 1, "caption": CAPTION, "lyrics": LYRICS}
LONG = 600
ROUNDS = 2


@dataclass(frozen=True)
class Case:
    """One decoder job."""

    seconds: float
    takes: int = 1
    guided: bool = False
    tiled: bool = True

    @property
    def name(self) -> str:
        takes = "1 take" if self.takes == 1 else f"{self.takes} takes"
        extra = (", guided" if self.guided else "") + ("" if self.tiled else ", VAE whole")
        return f"{takes} of {self.seconds:g} s{extra}"


CASES = (
    Case(60),
    Case(60, takes=2),
    Case(240),
    Case(600),
    Case(60, guided=True),
    Case(600, guided=True),
    Case(60, tiled=False),
    Case(120, tiled=False),
)
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "compiled": {"compiler": "inductor"},
    "weights in 8 bits": {"quantization": "int8"},
    "one module on the GPU at a time": {"offload": True},
}
"""Of a decoder: what it is called, and the options of DiffusersDecoder.load."""
TINY_CASES = (Case(2), Case(3, takes=2), Case(22, guided=True), Case(2, tiled=False))


class Gpu:
    """The memory of this process on its GPU, bytes; all None on a machine without one."""

    def __init__(self) -> None:
        self.there = torch.cuda.is_available()
        if not self.there:
            torch.set_num_threads(1)  # for tiny models: others may use the cores
        self._before = _used_on_gpu() if self.there else None

    def name(self) -> str:
        return torch.cuda.get_device_name() if self.there else "the CPU"

    def reset(self) -> None:
        """Begin new peaks, with nothing cached."""
        if self.there:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def held(self) -> int | None:
        """Held by tensors now."""
        return torch.cuda.memory_allocated() if self.there else None

    def peak(self) -> int | None:
        """The most that tensors have held since ``reset``."""
        return torch.cuda.max_memory_allocated() if self.there else None

    def reserved(self) -> int | None:
        """The most that torch has reserved for tensors since ``reset``."""
        return torch.cuda.max_memory_reserved() if self.there else None

    def beside(self) -> int | None:
        """What the process uses beside torch's memory for tensors: CUDA and its libraries."""
        used = _used_on_gpu() if self.there else None
        if used is None or self._before is None:
            return None
        return used - self._before - torch.cuda.memory_reserved()


def _used_on_gpu() -> int | None:
    """Bytes of the first GPU that are used by all processes."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.strip()) << 20
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def measure_decoder(checkpoints: Path, model: str, cases: Sequence[Case]) -> None:
    """Print the table of one decoder."""
    gpu = Gpu()
    needs = needs_of_decoder(
        Settings(decoder="diffusers", checkpoints=checkpoints, dit=Dit(model=model))
    )
    begun = perf_counter()
    engine = DiffusersDecoder.load(checkpoints, model)
    ready = perf_counter() - begun
    weights = gpu.held()
    say(
        f"== decoder {model} on {gpu.name()}: ready in {ready:.1f} s, {_gb(weights)} GB held",
        "| job | s | encoding, s | one step, ms | VAE, s | most held, GB | most reserved, GB |",
        "|---|---|---|---|---|---|---|",
    )
    summed: list[Job] = []
    for case in cases:
        if case.guided and engine.describe().turbo:
            continue
        try:
            found = measure_job(engine, case, gpu)
        except Exception as error:
            say(f"| {case.name} | {type(error).__name__}: {error} |")
            continue
        if case.takes == 1 and case.tiled:
            summed.append(found)  # the service's sum is for these
        say(f"| {case.name} | {found} |")
    held = max((job.most_held or 0 for job in summed), default=0)
    reserved = max((job.most_reserved or 0 for job in summed), default=0)
    compare(needs, weights, held, reserved, gpu)


@dataclass(frozen=True)
class Job:
    """One decoder job as measured; seconds are of the fastest round."""

    seconds: float
    encoding: float
    step: float
    vae: float
    most_held: int | None
    most_reserved: int | None

    def __str__(self) -> str:
        return (
            f"{self.seconds:.2f} | {self.encoding:.2f} | {self.step * 1000:.1f} | {self.vae:.2f} | "
            f"{_gb(self.most_held)} | {_gb(self.most_reserved)}"
        )


def measure_variants(checkpoints: Path, model: str, cases: Sequence[Case]) -> None:
    """Print what the settings of one decoder change: in a job, and if its weights leave the GPU."""
    gpu = Gpu()
    say(
        f"== decoder {model} on {gpu.name()}, with other settings",
        "| settings | ready, s | job | s | encoding, s | one step, ms | VAE, s | most held, GB "
        "| most reserved, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    moves: dict[str, str] = {}
    for name, options in VARIANTS.items():
        begun = perf_counter()
        engine = DiffusersDecoder.load(checkpoints, model, **options)
        ready = perf_counter() - begun
        for case in cases[:2]:
            say(f"| {name} | {ready:.1f} | {case.name} | {measure_job(engine, case, gpu)} |")
            if not options:
                found = measure_job(engine, case, gpu, stop=True)
                say(f"| the GPU stops for each report of a step | | {case.name} | {found} |")
        times = [perf_counter()]
        for move in (engine.leave, engine.arrive):
            move()
            if gpu.there:
                torch.cuda.synchronize()
            times.append(perf_counter())
        moves[name] = f"{times[1] - times[0]:.2f} s off the GPU, {times[2] - times[1]:.2f} s back"
        del engine
        gpu.reset()
    say(*(f"weights, {name}: {took}" for name, took in moves.items()))


def measure_job(engine: DiffusersDecoder, case: Case, gpu: Gpu, *, stop: bool = False) -> Job:
    """The fastest of the rounds; ``stop``: the GPU's work is waited for at each report."""
    gpu.reset()
    rounds = 1 if case.seconds == LONG else ROUNDS
    jobs = [_job(engine, case, gpu, stop) for _ in range(rounds)]
    return min(jobs, key=lambda job: job.seconds)


def _job(engine: DiffusersDecoder, case: Case, gpu: Gpu, stop: bool) -> Job:
    engine.free_memory()  # what the last job encoded is encoded again
    request = DecodeRequest(
        job_id="measured",
        attempt=1,
        caption=CAPTION,
        lyrics=LYRICS,
        seconds=case.seconds,
        seeds=tuple(range(case.takes)),
        steps=STEPS,
        guidance_scale=7.0 if case.guided else 1.0,
        use_tiled_decode=case.tiled,
    )
    times: list[float] = []
    phases: list[str] = []

    def report(phase: str, step: int, total: int) -> None:
        if stop and gpu.there:
            torch.cuda.synchronize()
        phases.append(phase)
        times.append(perf_counter())

    for take in engine.generate(request, Sources(), report):
        assert take.samples.shape[1] == 2
    ended = perf_counter()
    steps = [time for phase, time in zip(phases, times, strict=True) if phase == "diffusion"]
    vae = times[phases.index("vae")]
    return Job(
        seconds=ended - times[0],
        encoding=steps[0] - times[0],
        step=median(b - a for a, b in pairwise(steps)),
        vae=ended - vae,
        most_held=gpu.peak(),
        most_reserved=gpu.reserved(),
    )


def measure_planner(checkpoints: Path, model: str, lengths: Sequence[int]) -> None:
    """Print the table of one language model of the engine ``pt``."""
    gpu = Gpu()
    settings = Settings(planner="pt", checkpoints=checkpoints, lm=Lm(model=model))
    needs = needs_of_planner(settings)
    begun = perf_counter()
    lm = load_lm(find_lm(checkpoints, model), settings.lm)
    ready = perf_counter() - begun
    weights = gpu.held()
    say(
        f"== language model {model} on {gpu.name()}: loaded in {ready:.1f} s, "
        f"{_gb(weights)} GB held",
        "| plan | s | tokens/s | most held so far, GB | most reserved so far, GB |",
        "|---|---|---|---|---|",
    )
    planning = Planning(lm, settings.lm, settings.lyrics, settings.defaults.duration)
    writer = TextWriter(lm, settings.lm, settings.lyrics)
    asyncio.run(_plans(TransformersPlanner(planning, writer), lm, lengths, gpu))
    begun = perf_counter()
    buffers = every_buffer(lm)
    say(
        f"every buffer ({buffers}): {perf_counter() - begun:.1f} s, most held {_gb(gpu.peak())} "
        f"GB, most reserved {_gb(gpu.reserved())} GB"
    )
    compare(needs, weights, gpu.peak() or 0, gpu.reserved() or 0, gpu)


async def _plans(
    engine: TransformersPlanner, lm: LanguageModel, lengths: Sequence[int], gpu: Gpu
) -> None:
    gpu.reset()
    for wanted in ({"infer_type": "dit", "use_cot_caption": True, "lyrics": ""}, *_songs(lengths)):
        # The first use of a buffer makes its CUDA graph; in a long plan that hardly counts.
        for turn in ("first", "again")[: 1 if wanted.get("duration") == LONG else 2]:
            plan, seconds = await _timed(engine, PlanRequest.model_validate(PLAN | wanted))
            tokens = len(plan.codes) or len(lm.tokenizer.encode(plan.metadata.caption or ""))
            kind = "codes" if plan.codes else "tokens of a caption"
            guided = ", guided" if plan.codes and wanted.get("cfg_scale", 1) > 1 else ""
            say(
                f"| {tokens} {kind}{guided}, {turn} | {seconds:.2f} | {tokens / seconds:.0f} "
                f"| {_gb(gpu.peak())} | {_gb(gpu.reserved())} |"
            )
    await engine.close()


def _songs(lengths: Sequence[int]) -> list[dict[str, Any]]:
    """With every value given, the LM writes only codes."""
    return [
        {**FORCED, "duration": seconds, "cfg_scale": scale}
        for seconds in lengths
        for scale in ((2.5,) if seconds == LONG else (2.5, 1.0))
    ]


async def _timed(engine: TransformersPlanner, request: PlanRequest) -> tuple[Plan, float]:
    """The plan, and the seconds it took."""
    begun = perf_counter()
    *_, plan = [event async for event in engine.plan(request)]
    assert isinstance(plan, Plan)
    return plan, perf_counter() - begun


@torch.inference_mode()
def every_buffer(lm: LanguageModel) -> int:
    """Make a CUDA graph of each size that plans of up to 8 takes can need; how many there are."""
    sizes = [
        (rows, columns)
        for columns in range(COLUMNS_STEP, lm.context + 1, COLUMNS_STEP)
        for rows in (*range(1, 9), *range(10, 17, 2))
        if rows <= lm.most_rows(columns)
    ]
    for rows, columns in sizes:
        if lm.static is not None:
            lm.static.step(rows, columns)
    return len(sizes)


def compare(needs: list[Need], weights: int | None, held: int, reserved: int, gpu: Gpu) -> None:
    """Print the service's sum, and what was measured; ``held`` and ``reserved``: the most."""
    parts = " + ".join(f"{need.what} {_gb(need.size)}" for need in needs)
    say(f"the service's sum: {_gb(sum(need.size for need in needs))} GB = {parts}")
    beside = gpu.beside()
    if weights is not None and beside is not None:
        say(
            f"measured: {_gb(reserved + beside)} GB = weights {_gb(weights)} "
            f"+ work {_gb(held - weights)} + reserved and not held {_gb(reserved - held)} "
            f"+ CUDA and its libraries {_gb(beside)}"
        )


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _gb(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e9:.2f}"


def make_models(folder: Path) -> None:
    """Random weights of the published sizes."""
    for name, size in (("xl-base", FULL_XL), ("base", FULL_2B)):
        _make_decoder(folder, name, size)
    make_lms(folder)


def make_lms(folder: Path) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "0.6B": {"hidden": 1024, "layers": 28, "head_dim": 128, "heads": 16},
        "1.7B": {"hidden": 2048, "layers": 28, "head_dim": 128, "heads": 16},
    }
    for name, shape in shapes.items():
        make_tiny_lm(folder / f"{PREFIX}{name}", dtype=torch.bfloat16, **shape)


def make_tiny_models(folder: Path) -> None:
    _make_decoder(folder, "base", TINY)
    make_tiny_lm(folder / f"{PREFIX}tiny")


def _make_decoder(folder: Path, name: str, size: Size) -> None:
    """A base model, because it runs guided and unguided: a turbo model costs what it costs
    unguided."""
    made = make_tiny_checkpoint(folder, turbo=False, size=size)
    made.rename(folder / f"{DIT_PREFIX}{name}")


def measure(folder: Path, cases: Sequence[Case], lengths: Sequence[int]) -> None:
    """Print what was measured of every model in ``folder``, each as soon as it is known."""
    models: list[tuple[Callable[..., None], str, Sequence[Any]]] = [
        *((measure_planner, path.name, lengths) for path in _folders(folder, PREFIX)),
        *((measure_decoder, path.name, cases) for path in _folders(folder, DIT_PREFIX)),
        *((measure_variants, path.name, cases) for path in _folders(folder, DIT_PREFIX)),
    ]
    for run, name, sizes in models:
        # Another model's memory must be gone, and CUDA itself is to be measured, too.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            try:
                process.submit(run, folder, name, sizes).result()
            except Exception:
                traceback.print_exc()


def _folders(folder: Path, prefix: str) -> Iterable[Path]:
    return sorted(path for path in folder.glob(f"{prefix}*") if path.is_dir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?", help="of checkpoints; none: tiny ones")
    parser.add_argument("--make", action="store_true", help="only write random weights to FOLDER")
    parser.add_argument("--tiny", action="store_true", help="tiny models in a temporary folder")
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    if given.make and given.folder is not None:
        make_models(given.folder)
    elif given.folder is not None and not given.tiny:
        measure(given.folder, CASES, (60, LONG))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            make_tiny_models(Path(scratch))
            measure(Path(scratch), TINY_CASES, (10,))


if __name__ == "__main__":
    main()
