"""GET /v1/adapters, and upstream's routes for one adapter of the whole server."""

from pathlib import Path
from typing import Any

import pytest

from acestep_ray.adapters.default import DefaultAdapterFile, LoadedAdapter
from acestep_ray.replicas.deployed import Deployed
from tests.adapter_files import WIDTH, write_peft, write_weights
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import BASE, TURBO, ApiHarness, field_errors


@pytest.fixture
async def api(make_api: MakeHarness, tmp_path: Path) -> ApiHarness:
    folder = tmp_path / "adapters"
    write_peft(folder / "jazz" / "final" / "adapter")
    write_weights(folder / "harp.safetensors")
    (folder / "broken.safetensors").write_bytes(b"")
    return await make_api(adapters=str(folder))


async def lora(api: ApiHarness, action: str, **fields: Any) -> dict[str, Any]:
    answer = await api.http.post(f"/v1/lora/{action}", json=fields)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def refused(api: ApiHarness, action: str, **fields: Any) -> dict[str, str]:
    return field_errors(await api.http.post(f"/v1/lora/{action}", json=fields))


async def test_adapters_are_listed_with_the_models_they_fit(api: ApiHarness) -> None:
    wide = BASE.model_copy(update={"adapters": True, "width": 2 * WIDTH})
    api.service.deploy = Deployed((), (TURBO, wide), ready=True)
    view = (await api.http.get("/v1/adapters")).json()
    assert (view["default"], view["default_scale"]) == (None, None)
    broken, harp, jazz = view["adapters"]
    size = (api.folder / "adapters" / "harp.safetensors").stat().st_size
    assert harp == {
        "name": "harp",
        "kind": "lora",
        "rank": 4,
        "bytes": size,
        "models": [TURBO.model],
        "problem": None,
    }
    assert (jazz["name"], jazz["models"]) == ("jazz", [TURBO.model])
    assert (broken["kind"], broken["models"]) == (None, [])
    assert broken["problem"] == "cannot be used: broken.safetensors is no safetensors file"


async def test_without_the_setting_the_list_is_empty(make_api: MakeHarness) -> None:
    api = await make_api()
    view = (await api.http.get("/v1/adapters")).json()
    assert view == {"adapters": [], "default": None, "default_scale": None}
    status = (await api.http.get("/v1/lora/status")).json()["data"]
    assert (status["lora_loaded"], status["adapters"]) == (False, [])
    errors = await refused(api, "load", lora_path="jazz")
    assert "none: the service has no adapters" in errors["lora_path"]


async def test_upstreams_routes_set_the_default(api: ApiHarness) -> None:
    loaded = await lora(api, "load", lora_path="./lora_output/jazz/final/adapter")
    assert loaded == {
        "message": "Loaded jazz.",
        "lora_loaded": True,
        "use_lora": True,
        "lora_scale": 1.0,
        "adapter_type": "lora",
        "adapters": ["jazz"],
        "active_adapter": "jazz",
        "scales": {"jazz": 1.0},
    }
    assert (await lora(api, "scale", scale=0.5))["scales"] == {"jazz": 0.5}
    view = (await api.http.get("/v1/adapters")).json()
    assert (view["default"], view["default_scale"]) == ("jazz", 0.5)
    spec = await api.spec()
    assert [(use.name, use.scale) for use in spec.decode.adapters] == [("jazz", 0.5)]

    off = await lora(api, "toggle", use_lora=False)
    assert (off["use_lora"], off["lora_loaded"], off["lora_scale"]) == (False, True, 0.5)
    assert (await api.spec()).decode.adapters == ()
    assert (await lora(api, "toggle", use_lora=True))["use_lora"]

    second = await lora(api, "load", lora_path="harp", adapter_name="strings")
    assert (second["adapters"], second["active_adapter"]) == (["jazz", "strings"], "strings")
    back = await lora(api, "scale", adapter_name="jazz", scale=1)
    assert (back["active_adapter"], back["scales"]) == ("jazz", {"jazz": 1.0, "strings": 1.0})
    assert (await lora(api, "unload"))["lora_loaded"] is False
    assert (await api.spec()).decode.adapters == ()


async def test_the_default_outlives_a_start(api: ApiHarness) -> None:
    await lora(api, "load", lora_path="harp")
    used = (await DefaultAdapterFile(api.artifacts).get()).used
    assert used == LoadedAdapter(name="harp", scale=1.0)


async def test_upstreams_client_is_told_what_is_wrong(api: ApiHarness) -> None:
    names = "one of harp, jazz"
    assert names in (await refused(api, "load", lora_path="/models/folk"))["lora_path"]
    assert "is no safetensors" in (await refused(api, "load", lora_path="broken"))["lora_path"]
    assert "got nothing" in (await refused(api, "load"))["lora_path"]
    assert "No adapter is loaded" in (await refused(api, "scale", scale=1))["lora_path"]
    assert "No adapter is loaded" in (await refused(api, "toggle", use_lora=True))["lora_path"]
    await lora(api, "load", lora_path="harp")
    for scale in (None, 1.5, -1, "loud"):
        assert "from 0 to 1" in (await refused(api, "scale", scale=scale))["scale"]
    assert "true or false" in (await refused(api, "toggle"))["use_lora"]
    assert "one of harp" in (await refused(api, "scale", scale=1, adapter_name="x"))["adapter_name"]
