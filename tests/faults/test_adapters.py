"""Adapters in a bucket: decoders are killed while they copy one, the bucket goes away, and the disk
of the copies is full. Jobs wait or end with a sentence, and none is lost."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from tests.adapter_files import LORA, write_weights
from tests.faults.drill import Drill
from tests.s3 import BUCKET, S3Server
from tests.service import Service, running, until

AWAY_SECONDS = 5.0
LARGE = {**LORA, "layers.1.lora_A.weight": (8_000_000,)}
"""An adapter of 32 MB, so that copying one takes a moment."""


@pytest.fixture
def copies(own_data: Path) -> Iterator[Path]:
    """The folder of the copies, a file system of its own (mounting one needs root)."""
    folder = own_data / "adapters"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def service(
    own_data: Path,
    copies: Path,
    environment: dict[str, str],
    config: dict[str, Any],
    s3: S3Server,
    jobs: int,
) -> Iterator[Service]:
    file = write_weights(copies.parent / "style.safetensors", LARGE)
    for number in range(2 * min(jobs, 12) + 1):
        obstore.put(s3.store, f"styles/style {number}.safetensors", file)
    adapters = {"ACESTEP_ADAPTERS": f"s3://{BUCKET}/styles"}
    with running(own_data, environment | s3.environment | adapters, config) as service:
        yield service


def test_adapters(service: Service, s3: S3Server, copies: Path, jobs: int) -> None:
    styles = min(jobs, 12)

    def style(number: int, first: int = 0) -> dict[str, Any]:
        return {"adapters": [{"name": f"style {first + number % styles}", "scale": 0.5}]}

    drill = Drill(service, jobs, each=style)
    for _ in range(2):
        until(lambda: list(copies.glob("*.part")), "no adapter is copied")
        service.kill("ray::ServeReplica:acestep:Decoder")
    done = drill.all_succeed()
    assert {"Adapters: style 1 (0.5)"} <= {
        line for job in done for line in job["result"]["generation_info"].splitlines()
    }

    drill = Drill(service, jobs, each=lambda number: style(number, styles))
    s3.kill()
    back = threading.Timer(AWAY_SECONDS, s3.start)
    back.start()
    done = drill.all_succeed()
    back.join()
    assert {job["attempts"] for job in done} == {1}

    filler = copies / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    last = {"adapters": [f"style {2 * styles}"], "audio_duration": 5, "batch_size": 1}
    failed = service.finish(service.submit(**last))
    assert (failed["status"], failed["error_code"]) == ("failed", "storage_failed")
    assert f"style {2 * styles}.safetensors" in failed["error"] and "full" in failed["error"]
    filler.unlink()
    assert service.make(**last)["attempts"] == 1
