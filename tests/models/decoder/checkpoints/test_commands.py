"""The commands as a user enters them: what they print, write and refuse."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from acestep_ray.cli import main
from acestep_ray.decoder.checkpoints.commands import DTYPES
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.sizes import SIZES


def test_tiny_then_convert_then_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "checkpoints", tmp_path / "converted"
    assert main(["make-tiny-checkpoint", str(source), "--base", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "writing acestep-v15-base",
        "writing vae",
        "writing Qwen3-Embedding-0.6B",
        f"wrote {source / 'acestep-v15-base'}",
        "writing acestep-5Hz-lm-0.6B",
    ]
    assert main(["convert", str(source), str(target), "--dtype", "fp32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"converting {source / 'acestep-v15-base'}"
    assert "writing transformer" in lines
    assert lines[-1] == f"wrote {target}"
    info = load(target, "", "cpu", torch.bfloat16).info
    assert (info.name, info.turbo) == ("converted", False)


def test_diffusers_layout(tmp_path: Path) -> None:
    assert main(["make-tiny-checkpoint", str(tmp_path / "t"), "--layout", "diffusers"]) == 0
    assert load(tmp_path / "t", "", "cpu", torch.bfloat16).info.turbo


def test_refusals_are_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(tmp_path / "none"), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"acestep-ray: {tmp_path / 'none'} is not a folder: ")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["convert", "a", "b", "--dtype", "int8"], ["make-tiny-checkpoint", "a", "--size", "8b"]],
)
def test_unknown_choices_are_usage_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert f"Invalid value for '{arguments[-2]}'" in capsys.readouterr().err


def test_the_command_line_offers_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the choices itself, so that ``serve`` need not import torch to know them."""
    for command, choices in (("convert", DTYPES), ("make-tiny-checkpoint", SIZES)):
        assert main([command, "--help"]) == 0
        assert "<" + "|".join(choices) + ">" in capsys.readouterr().out


def test_serve_needs_no_torch() -> None:
    """The mock engines run without any model library installed."""
    optional = ("torch", "diffusers", "transformers", "safetensors", "tokenizers")
    code = (
        f"import sys\nfor name in {optional!r}: sys.modules[name] = None\n"
        "import acestep_ray.decoder.protocol, acestep_ray.settings, acestep_ray.decoder.engines\n"
        "from acestep_ray.cli import main\n"
        "print(main(['make-tiny-checkpoint', 'nowhere']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
    assert done.stderr.endswith("is not installed: pip install 'acestep-ray[gpu]'.\n")
