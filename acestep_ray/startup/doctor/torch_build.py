"""For which GPUs and which driver the installed torch was built."""

import json
import subprocess
import sys
from dataclasses import dataclass

IMPORT_SECONDS = 60.0
QUESTION = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    there = torch.cuda.is_available()
    archs = torch._C._cuda_getArchFlags() if torch.version.cuda else ""
why = " ".join(str(one.message) for one in caught if "CUDA" in str(one.message))
print(json.dumps([torch.__version__, torch.version.cuda, there, archs or "", why]))
"""
"""It makes no CUDA context, so it takes no memory of a GPU that a service uses."""


@dataclass(frozen=True)
class TorchBuild:
    """``cuda``: the version of CUDA, None for a build without it. ``works``: torch finds a GPU;
    otherwise ``why`` may have the reason. ``archs``: such as sm_90 (code for GPUs of that
    capability, and of later ones with the same major version) and compute_90 (for all later)."""

    version: str
    cuda: str | None
    works: bool
    archs: tuple[str, ...]
    why: str

    def runs_on(self, capability: tuple[int, int]) -> bool:
        """Whether it has code for a GPU of this compute capability."""
        return not self.archs or any(_runs(arch, capability) for arch in self.archs)


def torch_build() -> TorchBuild | None:
    """The installed torch, read in a process of its own; None if it cannot be imported."""
    command = [sys.executable, "-c", QUESTION]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
        )
        version, cuda, works, archs, why = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    return TorchBuild(version, cuda, works, tuple(archs.split()), why)


def _runs(arch: str, capability: tuple[int, int]) -> bool:
    kind, _, number = arch.partition("_")
    digits = "".join(filter(str.isdecimal, number))  # sm_90a is for that capability alone
    built = (int(digits[:-1] or 0), int(digits[-1:] or 0))
    if kind == "compute":
        return built <= capability
    if digits != number:
        return built == capability
    return built[0] == capability[0] and built <= capability
