"""The application is deployed again under load, with other code and fewer decoders.

Every replica is replaced; busy replicas finish their jobs.
"""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.faults.drill import Drill
from tests.service import running, until


def test_redeploy(
    own_data: Path,
    tmp_path: Path,
    config: dict[str, Any],
    environment: dict[str, str],
    jobs: int,
    table: dict[str, float],
) -> None:
    changed = copy.deepcopy(config)
    app = changed["applications"][0]
    app["args"]["defaults"] = {"batch_size": 1}  # args are part of the code's version
    app["args"]["scaling"]["decoder"] = {"min_replicas": 1, "max_replicas": 1}

    with running(own_data, environment | {"ACESTEP_DASHBOARD": "true"}, config) as service:
        until(lambda: len(service.processes("acestep:Decoder")) == 2, "two decoders did not come")
        before = set(service.processes("ray::ServeReplica"))
        changed["http_options"]["port"] = service.port
        file = tmp_path / "changed.yaml"
        file.write_text(yaml.safe_dump(changed))
        dashboard = re.search(r"dashboard at \S*?(http://[\d.:]+)", service.log.read_text())
        assert dashboard
        drill = Drill(service, jobs)
        drill.until_running()

        def redeploy() -> None:
            subprocess.run(
                [Path(sys.executable).with_name("serve"), "deploy", "-a", dashboard[1], file],
                check=True,
                capture_output=True,
                env=service.environment,
            )

        table["redeploy: other code, one decoder fewer"] = drill.recovery(redeploy)
        drill.all_succeed()

        def replaced() -> bool:
            now = set(service.processes("ray::ServeReplica"))
            return not now & before and len(service.processes("acestep:Decoder")) == 1

        until(replaced, "old replicas are left, or decoders did not become one")
        assert len(service.make(audio_duration=1)["result"]["audio_paths"]) == 1
