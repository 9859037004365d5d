"""The Dockerfile, as far as it can be checked without a container engine."""

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from acestep_ray import configs
from acestep_ray.cli import main
from tests.unit.k8s.manifests import ROOT, containers, everything, pod_templates

TARGETS = ("cpu", "gpu")


class Line(NamedTuple):
    """One instruction, in its stage; ``stage`` is "" before the first FROM."""

    stage: str
    instruction: str
    words: list[str]


def lines() -> list[Line]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, stage = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, _, rest = line.partition(" ")
            words = rest.split() if instruction == "CMD" else shlex.split(rest)
            if instruction == "FROM":
                stage = words[2]
            found.append(Line(stage, instruction, words))
    return found


LINES = lines()
BASES = {line.stage: line.words[0] for line in LINES if line.instruction == "FROM"}


def of_target(target: str) -> list[Line]:
    """A target's instructions; those of the stages below it are first."""
    below = of_target(BASES[target]) if BASES[target] in BASES else []
    return below + [line for line in LINES if line.stage == target]


def in_context(path: str) -> bool:
    """Whether .dockerignore shows a path to the builder; its last matching line decides."""
    seen = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if pattern and not line.startswith("#") and fnmatch(path, pattern):
            seen = line.startswith("!")
    return seen


def test_stages_are_made_of_stages_that_came_before() -> None:
    known: set[str] = set()
    for line in LINES:
        if line.instruction == "FROM":
            assert line.words[0] in known | {"${BASE}"}
            known.add(line.stage)
        for word in line.words:
            if word.startswith("--from="):
                assert word.removeprefix("--from=") in known
    assert known >= set(TARGETS)


def test_what_is_copied_is_there() -> None:
    copied = set()
    for line in LINES:
        assert line.instruction != "ADD"
        if line.instruction == "COPY" and not line.words[0].startswith("--from="):
            copied |= set(line.words[:-1])
    assert {"acestep_ray", "deployments", "pyproject.toml"} <= copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert in_context(path), f".dockerignore leaves out {path}"
    for path in ("data", "checkpoints", ".git", "tests"):
        assert not in_context(path)


@pytest.mark.parametrize("target", TARGETS)
def test_the_configs_are_there_where_the_package_is_built(target: str) -> None:
    """The package has links to them."""
    stage = of_target(f"{target}-code")
    copied = {word for line in stage if line.instruction == "COPY" for word in line.words}
    assert {file.resolve().name for file in configs.FOLDER.glob("*.yaml")} <= copied


def test_what_pip_installs_is_in_pyproject() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = re.findall(r"\.\[(\w+)\]", (ROOT / "Dockerfile").read_text())
    assert asked == ["gpu"]
    assert set(asked) <= set(extras["optional-dependencies"])


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_nobody_special(target: str) -> None:
    users = [line.words for line in of_target(target) if line.instruction == "USER"]
    assert users[-1] == ["1000:1000"]
    assert any("--uid 1000" in " ".join(line.words) for line in of_target(target))
    last = [line.instruction for line in of_target(target)]
    assert "RUN" not in last[last.index("USER") :]


@pytest.mark.parametrize("target", TARGETS)
def test_its_command_serves_everybody_and_so_wants_a_key(
    target: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    command = [line for line in of_target(target) if line.instruction == "CMD"][-1]
    words = [word.strip('[],"') for word in command.words]
    monkeypatch.chdir(tmp_path)  # the config comes with the package
    monkeypatch.delenv("ACESTEP_API_KEY", raising=False)
    monkeypatch.setenv("ACESTEP_CHECKPOINTS", str(tmp_path))
    assert words[0] == "acestep-ray"
    assert main(words[1:]) == 2
    assert "0.0.0.0 is reachable from other machines" in capsys.readouterr().err


def test_package_lists_do_not_stay_in_the_image() -> None:
    for line in LINES:
        text = " ".join(line.words)
        if line.instruction == "RUN" and "apt-get install" in text:
            assert "--no-install-recommends" in text
            assert text.endswith("rm -rf /var/lib/apt/lists/*")


@pytest.mark.parametrize("target", TARGETS)
def test_it_can_read_what_phones_and_browsers_record(target: str) -> None:
    runs = [line.words for line in of_target(target) if line.instruction == "RUN"]
    assert any("ffmpeg" in words for words in runs)


def test_ray_starts_with_its_auth_mode_said() -> None:
    settings = [word for line in of_target("cpu") if line.instruction == "ENV" for word in line[2]]
    assert "RAY_AUTH_MODE=disabled" in settings


def test_the_manifests_use_the_targets() -> None:
    images = {
        container["image"]
        for _, manifest in everything()
        for _, template in pod_templates(manifest)
        for container in containers(template)
    }
    assert images - {"redis:7.2-bookworm"} == {f"acestep-ray:{target}" for target in TARGETS}
