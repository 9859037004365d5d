"""Adapters that a request names: how they are read, and which are refused."""

from pathlib import Path
from typing import Any, cast

import pytest

from acestep_ray.adapters.default import DefaultAdapter, LoadedAdapter
from acestep_ray.api.dependencies import AppContext
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.replicas.deployed import Deployed
from tests.adapter_files import WIDTH, write_weights
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import BASE, TURBO, ApiHarness, field_errors, warnings_of


@pytest.fixture
async def api(make_api: MakeHarness, tmp_path: Path) -> ApiHarness:
    folder = tmp_path / "adapters"
    for name in ("jazz", "harp", "more/bass"):
        write_weights(folder / f"{name}.safetensors")
    (folder / "broken.safetensors").write_bytes(b"")
    return await make_api(adapters=str(folder))


async def used(api: ApiHarness, **fields: Any) -> list[tuple[str, float]]:
    """The adapters of the job, and their scales."""
    answer = await api.submit(**fields)
    assert answer.status_code == 200, answer.text
    spec = await api.stored(answer.json()["job_id"])
    return [(use.name, use.scale) for use in spec.decode.adapters]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"name": "jazz", "scale": 0.5}, {"name": "harp"}], [("jazz", 0.5), ("harp", 1.0)]),
        ([{"adapter_name": "jazz", "lora_scale": "0.5"}], [("jazz", 0.5)]),
        ({"name": "more/bass", "scale": -1}, [("more/bass", -1.0)]),
        (["jazz", "harp:0.25"], [("jazz", 1.0), ("harp", 0.25)]),
        ("jazz:0.5, harp", [("jazz", 0.5), ("harp", 1.0)]),
        ('[{"name": "jazz", "scale": 2}]', [("jazz", 2.0)]),
        ([], []),
        ("", []),
        (None, []),
    ],
)
async def test_adapters_are_read(api: ApiHarness, value: object, expected: object) -> None:
    assert await used(api, adapters=value) == expected


async def test_another_name_of_the_field(api: ApiHarness) -> None:
    assert await used(api, loras=["jazz"]) == [("jazz", 1.0)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (7, "a list of up to 8 names"),
        ([7], "It must be a string"),
        ([{"scale": 1}], "It must be a string"),
        ([""], "An adapter has a name"),
        (["jazz", "jazz:0.5"], "jazz is there twice"),
        (["jazz:3"], "The scale of jazz is 3"),
        (["jazz:loud"], "a list of up to 8 names"),
        ([{"name": "jazz", "rank": 8}], "rank is not known; an adapter has name and scale"),
        ([f"a{number}" for number in range(9)], "There are 9 of them"),
        (["folk"], "There is no adapter 'folk'; GET /v1/adapters lists those there are"),
        (["broken"], "The adapter broken cannot be used: broken.safetensors is no safetensors"),
    ],
)
async def test_what_cannot_be_used_is_refused(api: ApiHarness, value: object, words: str) -> None:
    assert words in field_errors(await api.submit(adapters=value))["adapters"]


async def test_a_refusal_names_what_can_be_used(api: ApiHarness) -> None:
    answer = await api.submit(adapters=["folk"])
    (error,) = answer.json()["errors"]
    assert error["legal"] == "a list of harp, jazz, more/bass, each with its scale"


async def test_a_service_without_adapters_says_which_setting_names_them(
    make_api: MakeHarness,
) -> None:
    api = await make_api()
    error = field_errors(await api.submit(adapters=["jazz"]))["adapters"]
    assert "ACESTEP_ADAPTERS names their folder" in error
    assert (await api.submit(adapters=[])).status_code == 200


async def test_an_adapter_for_another_model_is_refused_and_the_model_named(
    api: ApiHarness,
) -> None:
    wide = TURBO.model_copy(update={"adapters": True, "width": 2 * WIDTH})
    fitting = BASE.model_copy(update={"adapters": True, "width": WIDTH})
    api.service.deploy = Deployed((), (wide, fitting), ready=True)
    error = field_errors(await api.submit(adapters=["jazz"]))["adapters"]
    assert f"its layers have {WIDTH} numbers, not {2 * WIDTH}" in error
    assert f"It can be used with model {fitting.model}." in error
    assert await used(api, adapters=["jazz"], model=fitting.model) == [("jazz", 1.0)]

    without = TURBO.model_copy(update={"adapters": False})
    api.service.deploy = Deployed((), (without,), ready=True)
    error = field_errors(await api.submit(adapters=["jazz"]))["adapters"]
    assert f"{without.model} cannot use adapters." in error


async def test_an_adapter_that_is_for_another_decoder_is_refused(api: ApiHarness) -> None:
    able = {"adapters": True, "width": WIDTH}
    without = TURBO.model_copy(update={**able, "adapter_names": ("harp",)})
    other = BASE.model_copy(update={**able, "adapter_names": ("jazz", "more/*")})
    api.service.deploy = Deployed((), (without, other), ready=True)
    answer = await api.submit(adapters=["jazz"])
    error = field_errors(answer)["adapters"]
    assert f"The adapter jazz is not for {without.model}" in error
    assert f"It can be used with model {other.model}." in error
    assert answer.json()["errors"][0]["legal"] == "a list of harp, each with its scale"
    offered = (await api.http.get("/v1/adapters")).json()["adapters"]
    models = {one["name"]: one["models"] for one in offered}
    assert (models["harp"], models["more/bass"]) == ([without.model], [other.model])


async def test_storage_that_is_away_is_no_matter_for_requests_without_adapters(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> int:
        raise StorageError("The audio could not be read: the storage cannot be reached.")

    monkeypatch.setattr(Artifacts, "size", away)
    assert await used(api) == []
    assert await used(api, adapters=["jazz"]) == [("jazz", 1.0)]


async def test_during_an_update_a_replica_that_can_use_adapters_counts(api: ApiHarness) -> None:
    old = TURBO.model_copy(update={"adapters": False})
    api.service.deploy = Deployed((), (old, TURBO), ready=True)
    assert await used(api, adapters=["jazz"]) == [("jazz", 1.0)]


async def test_the_default_is_for_requests_that_name_none(api: ApiHarness) -> None:
    context: AppContext = cast("Any", api.app).state.context
    file = context.default_adapter
    state = DefaultAdapter(loaded={"mine": LoadedAdapter(name="jazz", scale=0.5)}, active="mine")
    await file.change(lambda _: state)
    answer = await api.submit()
    assert "default adapter is used: jazz, scale 0.5; send adapters: []" in warnings_of(answer)
    assert await used(api) == [("jazz", 0.5)]
    assert await used(api, adapters=[]) == []
    assert await used(api, adapters=["harp"]) == [("harp", 1.0)]

    await file.change(lambda now: now.model_copy(update={"enabled": False}))
    assert await used(api) == []
    gone = DefaultAdapter(loaded={"mine": LoadedAdapter(name="gone")}, active="mine")
    await file.change(lambda _: gone)
    answer = await api.submit()
    assert "default adapter is not used: There is no adapter 'gone'" in warnings_of(answer)
    assert await used(api) == []
