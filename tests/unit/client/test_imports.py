"""The client can be used where no Ray, no torch and nothing of the service is installed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ALLOWED = {
    *("acestep_ray", "annotated_types", "anyio", "certifi", "h11", "httpcore2", "httpx2", "idna"),
    *("pydantic", "pydantic_core", "sniffio", "truststore", "typing_extensions"),
    *("typing_inspection", "exceptiongroup"),
}


def test_the_client_imports_few_packages() -> None:
    program = (
        "import sys; before = set(sys.modules); import acestep_ray.client; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before}, "
        "*[name for name in sys.modules if name.startswith('acestep_ray.')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    own = {name for name in shown if name.startswith("acestep_ray.")}
    assert own and all(name.startswith("acestep_ray.client") for name in own)
    others = set(shown) - own - sys.stdlib_module_names
    assert {name for name in others if not name.startswith("_")} <= ALLOWED
