"""Reports where KubeRay's definitions were missing."""

import pytest

from tests.unit.k8s.schemas import CRDS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not CRDS.is_dir():
        terminalreporter.write_line(
            f"KubeRay's CustomResourceDefinitions are not at {CRDS}: of the RayServices, pod "
            "templates were held to Kubernetes' schemas, and the rest to the list of known fields.",
            yellow=True,
        )
