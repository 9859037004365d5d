"""The OpenAPI document: complete, committed, and equal to the code's."""

import json
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.api.openapi import openapi_document
from acestep_ray.api.request.aliases import FILES, NESTED
from acestep_ray.api.request.generate_request import FIELDS
from acestep_ray.api.request.unsupported_fields import REFUSED
from acestep_ray.settings import Settings
from tests.unit.api.harness import ApiHarness

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi_document(Settings())


def test_the_committed_file_is_current(document: dict[str, Any]) -> None:
    """Clients are generated from it; ``python -m acestep_ray.api.openapi`` prints a new one."""
    assert json.loads(COMMITTED.read_text()) == document


def test_it_is_the_same_each_time(document: dict[str, Any]) -> None:
    assert json.dumps(openapi_document(Settings())) == json.dumps(document)


async def test_it_is_served(api: ApiHarness, document: dict[str, Any]) -> None:
    assert (await api.http.get("/openapi.json")).json() == document
    assert (await api.http.get("/docs")).status_code == 200


@pytest.mark.parametrize(
    ("media_type", "files"),
    [
        ("application/json", ()),
        ("application/x-www-form-urlencoded", ()),
        ("multipart/form-data", FILES),
    ],
)
def test_every_field_of_every_body(
    document: dict[str, Any], media_type: str, files: tuple[str, ...]
) -> None:
    content = document["paths"]["/v1/music/generate"]["post"]["requestBody"]["content"]
    name = content[media_type]["schema"]["$ref"].rpartition("/")[2]
    fields = document["components"]["schemas"][name]["properties"]
    assert set(fields) == {*FIELDS, *files, *NESTED, *REFUSED}
    for name, field in fields.items():
        assert field["description"] and field["examples"], name
        assert name in files or "Legal: " in field["description"], name
        assert "x-legal" not in field and "{" not in field["description"], name
        if media_type != "application/json":
            assert isinstance(field["type"], str), name  # a form holds one text per field
            assert "null" not in field["description"], name  # and no null


async def test_the_examples_are_legal(api: ApiHarness, document: dict[str, Any]) -> None:
    """Except the paths and jobs: no server has those files, or those jobs; except the webhook,
    whose host does not exist; except the caption that only models of tracks read; and except
    adapters, of which the service has none."""
    for schema, form in (("GenerateRequest", False), ("GenerateForm", True)):
        for name, field in document["components"]["schemas"][schema]["properties"].items():
            if name.endswith(
                ("_audio_path", "_job_id", "webhook_url", "global_caption", "adapters")
            ):
                continue
            for example in field["examples"]:
                alone = {"caption": None} if name == "sample_query" else {}  # it writes the caption
                sent = {name: str(example).lower() if example in (True, False) else example}
                answer = await (
                    api.http.post("/v1/music/generate", data=sent)
                    if form
                    else api.submit(**{name: example, **alone})
                )
                assert answer.status_code == 200, answer.text


async def test_the_answers_have_the_fields_that_are_described(
    api: ApiHarness, document: dict[str, Any]
) -> None:
    for path, name in (
        ("/health", "HealthView"),
        ("/ready", "ReadyView"),
        ("/v1/models", "ModelsView"),
        ("/v1/stats", "StatsView"),
        ("/v1/jobs", "JobListView"),
    ):
        fields = document["components"]["schemas"][name]["properties"]
        assert set((await api.http.get(path)).json()) == set(fields)


def test_every_operation_tells_its_errors(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and operation["description"]
            failures = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert "500" in failures
            assert ("401" in failures) == (path not in ("/health", "/ready"))
            for failure in failures.values():
                assert list(failure["content"]) == ["application/problem+json"]
            for parameter in operation.get("parameters", []):
                assert parameter.get("description"), parameter


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    views = {name: schema for name, schema in schemas.items() if "properties" in schema}
    assert {"JobView", "ProgressView", "ProblemView", "ModelsView", "CapacityView"} <= set(views)
    for name, view in views.items():
        for field, schema in view["properties"].items():
            assert schema.get("description"), (name, field)
            assert any(e is not None for e in schema.get("examples", ())), (name, field)
    text = json.dumps(document)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas
