"""The GPUs: whether there are any, whether torch can use them, and whether the models fit."""

import os
import shutil
from collections.abc import Iterator, Sequence

from acestep_ray.errors import CheckpointError
from acestep_ray.replicas.placement import most_replicas
from acestep_ray.startup.doctor.gpu_needs import cpu_bytes, gpu_needs
from acestep_ray.startup.doctor.limits import memory
from acestep_ray.startup.doctor.nvidia import Gpu, visible_gpus
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.doctor.torch_build import TorchBuild, torch_build
from acestep_ray.startup.gpu_use import wants_gpus, why_on_cpu
from acestep_ray.startup.refusals import engines_of

SHOWS_ALL = "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
COMPILERS = ("cc", "gcc", "clang")
BFLOAT16 = (8, 0)
"""Compute capability from which GPUs compute in bfloat16; the vllm planner needs it."""


def check_gpu(setup: Setup) -> Iterator[Result]:
    """See Check."""
    application = setup.checked.application
    if engines_of(setup.settings) == ["mock"]:
        yield ok("the mock engines need none")
        return
    if why := why_on_cpu(application, setup.settings):
        yield warning(
            f"{why}: the models run on the CPU, which is slow; if there is a GPU, install its "
            "driver, show it (CUDA_VISIBLE_DEVICES), and start a container with --gpus all."
        )
    if why or not wants_gpus(application, setup.settings):
        yield from _on_cpu(setup)
        return
    if "MIG-" in os.environ.get("CUDA_VISIBLE_DEVICES", ""):
        yield ok("CUDA_VISIBLE_DEVICES shows parts of a GPU (MIG), which are not checked")
        return
    gpus = visible_gpus()
    if not gpus:
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        yield problem(
            f"CUDA_VISIBLE_DEVICES={shown} shows none of this machine's GPUs: unset it, or name "
            "one that nvidia-smi -L lists."
        )
        return
    if os.environ.get(SHOWS_ALL):
        yield problem(
            f"{SHOWS_ALL} is set, so that every replica sees all GPUs and refuses to start: unset "
            "it."
        )
    yield from _torch(setup, gpus)
    if "vllm" in engines_of(setup.settings) and not any(map(shutil.which, COMPILERS)):
        yield warning(
            "there is no C compiler, which Triton, a part of vllm, may need when it starts: "
            "install gcc with the headers of C and of Python, or set ACESTEP_PLANNER=pt."
        )
    yield from _room(setup, gpus)
    names = "; ".join(
        f"{gpu.index}: {gpu.name}, {gpu.free / 1e9:.1f} of {gpu.total / 1e9:.1f} GB free"
        for gpu in gpus
    )
    yield ok(f"{names}; driver {gpus[0].driver}")


def _torch(setup: Setup, gpus: Sequence[Gpu]) -> Iterator[Result]:
    build = torch_build()
    if build is None:
        return  # the check of the libraries reports that
    if build.cuda is None:
        yield problem(
            f"torch {build.version} was built without CUDA and cannot use the GPU: install it "
            "again on this machine (in a clone: make clean, make engines; otherwise pip install "
            "--force-reinstall 'acestep-ray[gpu]')."
        )
        return
    if not build.works:
        why = f" ({build.why.partition('. ')[0].rstrip('.')})" if build.why else ""
        yield problem(
            f"torch {build.version} cannot use the GPU with driver {gpus[0].driver}{why}: install "
            f"a driver for CUDA {build.cuda} or newer, or a torch for an older CUDA."
        )
        return
    for gpu in gpus:
        yield from _capability(setup, gpu, build)


def _capability(setup: Setup, gpu: Gpu, build: TorchBuild) -> Iterator[Result]:
    if gpu.capability is None:
        return
    major, minor = gpu.capability
    what = f"GPU {gpu.index} ({gpu.name}, compute capability {major}.{minor})"
    if not build.runs_on(gpu.capability):
        yield problem(
            f"torch {build.version} has no code for {what}: install a torch that has "
            f"({', '.join(build.archs)} are in this one), or hide it with CUDA_VISIBLE_DEVICES."
        )
    elif gpu.capability < BFLOAT16 and "vllm" in engines_of(setup.settings):
        yield problem(
            f"{what} has no bfloat16, which the vllm planner needs: set ACESTEP_PLANNER=pt, or "
            "use a GPU of compute capability 8.0 or higher."
        )


def _room(setup: Setup, gpus: Sequence[Gpu]) -> Iterator[Result]:
    """Whether the replicas fit onto the GPUs, their models into their shares, and all into what is
    free."""
    settings = setup.settings
    yield from refusal(lambda: most_replicas(settings, [len(gpus)]))
    smallest = min(gpus, key=lambda gpu: gpu.total)
    if not smallest.total:
        return
    needs = gpu_needs(setup.checked, smallest.total)
    refused = [need.refusal for need in needs if need.refusal]
    yield from map(problem, refused)
    if refused or setup.service is not None or setup.store_owner is not None:
        return  # a service that runs has taken its part
    # On one GPU all share it, at the same time or in turns; of several, Ray chooses.
    most = sum if len(gpus) == 1 and not settings.scaling.gpu_turns else max
    needed = most([need.size for need in needs] or [0])
    names = " and ".join(need.deployment for need in needs)
    for gpu in gpus:
        if needed > gpu.free:
            yield problem(
                f"GPU {gpu.index} ({gpu.name}) has {gpu.free / 1e9:.1f} GB free, and {names} need "
                f"{needed / 1e9:.1f} GB: end the programs that use it (nvidia-smi lists them)."
            )


def _on_cpu(setup: Setup) -> Iterator[Result]:
    try:
        needed = cpu_bytes(setup.settings)
    except CheckpointError:
        return  # another check reports that
    total, free = memory()
    numbers = f"the models' weights take {needed / 1e9:.1f} GB of memory on the CPU"
    if needed > total:
        yield problem(
            f"{numbers}, and this machine has {total / 1e9:.1f} GB: use a GPU, or the mock "
            "engines (ACESTEP_DECODER=mock, ACESTEP_PLANNER=mock)."
        )
    elif needed > free and not setup.service:
        yield warning(f"{numbers}, and {free / 1e9:.1f} GB are free: end other programs.")
    else:
        yield ok(f"none is used; {numbers}")
