"""The GPU: a driver, a torch and models that belong together. The driver's program is a script."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.startup.doctor.result import Level
from acestep_ray.startup.doctor.torch_build import TorchBuild
from tests.unit.replicas.checkpoint_files import write_config, write_upstream
from tests.unit.startup.doctor.conftest import Doctor

GB24 = "0, GPU-5f3a, NVIDIA RTX A5000, 580.95.05, 24564, 23000, 8.6"
BLACKWELL = ["2.13.0+cu130", "13.0", True, "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", ""]


class Machine:
    """A machine with GPUs: what its driver lists, and how its torch was built."""

    def __init__(
        self, folder: Path, program: Callable[[str, str], Path], patch: pytest.MonkeyPatch
    ) -> None:
        self._folder, self._program, self._patch = folder, program, patch
        self.gpus(GB24)
        self.torch(BLACKWELL)

    def gpus(self, *lines: str, status: int = 0) -> None:
        listed = "\n".join(lines)
        self._program("nvidia-smi", f"cat <<'END'\n{listed}\nEND\nexit {status}")

    def torch(self, build: list[Any]) -> None:
        python = self._program("python-with-torch", f"echo '{json.dumps(build)}'")
        self._patch.setattr(sys, "executable", str(python))


@pytest.fixture
def machine(
    doctor: Doctor,
    program: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Machine:
    exists = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda path, **more: path == Path("/dev/nvidiactl") or exists(path, **more)
    )
    write_upstream(tmp_path / "checkpoints")
    doctor.args |= {
        "planner": "pt",
        "decoder": "diffusers",
        "preset": "24gb",
        "checkpoints": str(tmp_path / "checkpoints"),
    }
    return Machine(tmp_path, program, monkeypatch)


def test_a_good_machine_is_well(doctor: Doctor, machine: Machine) -> None:
    message = doctor.well("gpu")
    assert message == "0: NVIDIA RTX A5000, 24.1 of 25.8 GB free; driver 580.95.05"


def test_a_machine_without_a_gpu_is_a_warning(doctor: Doctor, tmp_path: Path) -> None:
    write_upstream(tmp_path / "checkpoints")
    doctor.args |= {
        "decoder": "diffusers",
        "preset": "24gb",
        "checkpoints": str(tmp_path / "checkpoints"),
    }
    assert "start a container with --gpus all" in doctor.warning("gpu")
    assert "weights take 0.0 GB of memory on the CPU" in doctor.check("gpu")[1].message


def test_models_larger_than_the_memory_are_a_problem_on_a_cpu(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_upstream(tmp_path / "checkpoints")
    doctor.args |= {"decoder": "diffusers", "checkpoints": str(tmp_path / "checkpoints")}
    monkeypatch.setattr("acestep_ray.startup.doctor.gpu_check.memory", lambda: (1_000_000, 1))
    assert "and this machine has 0.0 GB: use a GPU" in doctor.problem("gpu")


def test_mocks_need_none(doctor: Doctor) -> None:
    assert doctor.well("gpu") == "the mock engines need none"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (["2.13.0+cpu", None, False, "", ""], "was built without CUDA and cannot use the GPU"),
        (
            [
                "2.13.0+cu130",
                "13.0",
                False,
                "",
                "CUDA initialization: The NVIDIA driver on your system is too old (found version "
                "12040). Please update your GPU driver.",
            ],
            "cannot use the GPU with driver 580.95.05 (CUDA initialization: The NVIDIA driver on "
            "your system is too old (found version 12040)): install a driver for CUDA 13.0",
        ),
        (
            ["2.13.0+cu130", "13.0", True, "sm_90 sm_100", ""],
            "has no code for GPU 0 (NVIDIA RTX A5000, compute capability 8.6)",
        ),
    ],
)
def test_a_torch_that_cannot_use_the_gpu_is_a_problem(
    doctor: Doctor, machine: Machine, build: list[Any], message: str
) -> None:
    machine.torch(build)
    assert message in doctor.problem("gpu")


@pytest.mark.parametrize(
    ("arch", "capability", "runs"),
    [
        ("sm_80", (8, 6), True),
        ("sm_86", (8, 0), False),
        ("sm_80", (9, 0), False),
        ("compute_80", (12, 0), True),
        ("compute_90", (8, 9), False),
        ("sm_90a", (9, 0), True),
        ("sm_100", (10, 3), True),
        ("sm_120", (10, 0), False),
    ],
)
def test_code_runs_on_its_own_generation_of_gpus(
    arch: str, capability: tuple[int, int], runs: bool
) -> None:
    assert TorchBuild("2", "13.0", True, (arch,), "").runs_on(capability) is runs


def test_vllm_on_a_gpu_without_bfloat16_is_a_problem(doctor: Doctor, machine: Machine) -> None:
    machine.gpus("0, GPU-1, Tesla T4, 580.95.05, 24564, 23000, 7.5")
    assert doctor.well("gpu")
    doctor.args["planner"] = "vllm"
    assert "set ACESTEP_PLANNER=pt" in doctor.problem("gpu")


def test_a_share_that_is_too_small_is_a_problem_with_the_replicas_own_words(
    doctor: Doctor, machine: Machine
) -> None:
    machine.gpus("0, GPU-1, NVIDIA GeForce GTX 1650, 580.95.05, 4096, 4000, 8.6")
    assert doctor.problem("gpu").startswith("The Planner needs 2.8 GB of a GPU (weights 0.0 GB + ")


def test_a_share_that_is_too_small_for_vllm_is_a_problem(doctor: Doctor, machine: Machine) -> None:
    doctor.args["planner"] = "vllm"
    machine.gpus("0, GPU-1, NVIDIA A2, 580.95.05, 4096, 4000, 8.6")
    messages = [found.message for found in doctor.check("gpu")]
    assert any(
        message.startswith("A share of 0.4 of a GPU of 4.3 GB leaves") for message in messages
    )


def test_replicas_that_do_not_go_onto_the_gpus_are_a_problem(
    doctor: Doctor, machine: Machine
) -> None:
    doctor.args["preset"] = "box"
    assert "2 GPUs do not fit onto 1 GPU" in doctor.problem("gpu")


def test_memory_that_others_use_is_a_problem(doctor: Doctor, machine: Machine) -> None:
    machine.gpus("0, GPU-1, NVIDIA RTX A5000, 580.95.05, 24564, 1000, 8.6")
    message = doctor.problem("gpu")
    assert "has 1.0 GB free, and Planner and Decoder need" in message
    assert "end the programs that use it" in message


def test_the_share_of_a_deployment_in_the_config_counts(doctor: Doctor, machine: Machine) -> None:
    doctor.deployments = [{"name": "Decoder", "ray_actor_options": {"num_gpus": 0.01}}]
    assert "its num_gpus 0.01 of 25.8 GB is 0.3 GB" in doctor.problem("gpu")


@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        (["NVIDIA-SMI has failed because it could not communicate."], 9, "load the driver again"),
        (["Failed to initialize NVML: Driver/library version mismatch"], 18, "restart the machine"),
    ],
)
def test_a_broken_driver_is_a_problem(
    doctor: Doctor, machine: Machine, lines: list[str], status: int, message: str
) -> None:
    machine.gpus(*lines, status=status)
    found = doctor.problem("gpu")
    assert lines[0].removesuffix(".") in found and message in found


def test_a_driver_without_its_program_is_a_problem(
    doctor: Doctor, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "nvidia-smi is not on the PATH" in doctor.problem("gpu")


@pytest.mark.parametrize(
    ("shown", "well"), [("0", True), ("GPU-5f3a", True), ("1", False), ("7,0", False)]
)
def test_only_gpus_that_are_shown_count(
    doctor: Doctor, machine: Machine, monkeypatch: pytest.MonkeyPatch, shown: str, well: bool
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    if well:
        assert doctor.well("gpu")
    else:
        assert f"CUDA_VISIBLE_DEVICES={shown} shows none" in doctor.problem("gpu")


def test_the_smallest_of_several_gpus_decides(doctor: Doctor, machine: Machine) -> None:
    machine.gpus(GB24, "1, GPU-2, NVIDIA T1000, 580.95.05, 4096, 4000, 8.6")
    levels = {found.level for found in doctor.check("gpu")}
    assert Level.PROBLEM in levels


def test_memory_that_the_driver_does_not_report_is_not_compared(
    doctor: Doctor, machine: Machine
) -> None:
    """As on machines whose GPU shares the memory of the processor."""
    machine.gpus("0, GPU-1, NVIDIA GB10, 580.95.05, [N/A], [N/A], 12.1")
    assert doctor.well("gpu")


def test_a_variable_that_shows_all_gpus_to_all_is_a_problem(
    doctor: Doctor, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES", "1")
    assert "every replica sees all GPUs" in doctor.problem("gpu")


def test_parts_of_a_gpu_are_not_judged(
    doctor: Doctor, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1234")
    assert "(MIG), which are not checked" in doctor.well("gpu")


def test_vllm_without_a_compiler_is_a_warning(
    doctor: Doctor, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doctor.args["planner"] = "vllm"
    (tmp_path / "bin" / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "there is no C compiler" in doctor.warning("gpu")


def test_a_context_that_the_model_was_not_made_for_is_a_problem(
    doctor: Doctor, machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints" / "acestep-5Hz-lm-0.6B"
    parts = {"num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 28}
    write_config(folder, max_position_embeddings=4096, **parts)
    doctor.args["planner"] = "vllm"
    assert "is more than the 4096 tokens that acestep-5Hz" in doctor.problem("gpu")
