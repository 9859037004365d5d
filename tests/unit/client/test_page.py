"""The examples of docs/client.md run as they are printed, and the page has every name."""

import re
from pathlib import Path

import pytest

import acestep_ray.client as package
from acestep_ray.client import ApiError, Client, Job
from acestep_ray.client.downloads import DEFAULT_NAMES
from tests.one_process import OneProcess

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    number: int, server: OneProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_URL", server.url)
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], "docs/client.md", "exec"), {})


def test_every_exception_is_in_the_table() -> None:
    kinds = [getattr(package, name) for name in package.__all__]
    errors = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ApiError)}
    table = PAGE.split("| exception | when |")[1].split("##")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", table)) >= {
        kind.__name__ for kind in errors - {ApiError}
    }


@pytest.mark.parametrize("kind", [Client, Job])
def test_every_method_is_on_the_page(kind: type) -> None:
    for name in vars(kind):
        if not name.startswith("_") and name != "update":
            assert re.search(rf"`(\w+\.)?{name}\(|`{name}`", PAGE), name


def test_the_parts_of_names_are_on_the_page() -> None:
    for part in re.findall(r"\{\w+\}", DEFAULT_NAMES):
        assert f"`{part}`" in PAGE
