"""Where the models run when the config asks for GPUs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from acestep_ray.settings import Settings
from acestep_ray.startup.launcher import _leave_out_gpus

CONFIG = Path(__file__).parents[3] / "serve_config.gpu.yaml"
ON_THE_CPU = {
    "ACESTEP_SCALING__PLANNER__NUM_GPUS": "0",
    "ACESTEP_SCALING__DECODER__NUM_GPUS": "0",
}


@pytest.mark.parametrize(
    ("here", "visible", "changes", "why"),
    [
        (False, None, ON_THE_CPU, "this machine has no GPU"),
        (True, None, {}, ""),
        (True, "0", {}, ""),
        (True, "", ON_THE_CPU, "CUDA_VISIBLE_DEVICES shows no GPU"),
    ],
)
def test_the_models_run_on_the_cpu_where_no_gpu_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    here: bool,
    visible: str | None,
    changes: dict[str, str],
    why: str,
) -> None:
    exists = Path.exists

    def driver(path: Path, **options: Any) -> bool:
        return here if path == Path("/dev/nvidiactl") else exists(path, **options)

    monkeypatch.setattr(Path, "exists", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    application = yaml.safe_load(CONFIG.read_text())["applications"][0]
    assert _leave_out_gpus(application, Settings.model_validate(application["args"])) == changes
    assert why in (output := "".join(capsys.readouterr())) and bool(output) == bool(why)
