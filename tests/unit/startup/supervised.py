"""A program for tests: supervises a fake service, as `acestep-ray serve` does a real one.

python -m tests.unit.startup.supervised CONFIG.json
"""

import json
import os
import sys
from pathlib import Path

from acestep_ray.settings import Restarts
from acestep_ray.startup import supervisor
from acestep_ray.startup.ray_node import RayNode

if __name__ == "__main__":
    config = json.loads(Path(sys.argv[1]).read_text())
    document = config["document"]
    for name, value in config.get("constants", {}).items():
        setattr(supervisor, name, value)
    command = [sys.executable, str(Path(__file__).with_name("fake_serve.py"))]
    sys.exit(
        supervisor.keep_serving(
            lambda: RayNode(command, document, dict(os.environ)),
            f"http://127.0.0.1:{document['port']}",
            Restarts(**config.get("restarts", {})),
        )
    )
