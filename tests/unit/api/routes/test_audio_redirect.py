"""Downloads directly from the object store: a redirect to a URL that is valid for a while."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of

DATA = bytes(range(256)) * 8
KEY = {"Authorization": "Bearer k"}


@pytest.fixture
async def api(make_api: MakeHarness, s3_url: str) -> ApiHarness:
    return await make_api(artifacts=s3_url, downloads="redirect", api_key=SecretStr("k"))


@pytest.fixture
async def anybody() -> AsyncIterator[httpx.AsyncClient]:
    """A client without the service's API key."""
    async with httpx.AsyncClient() as client:
        yield client


async def take(api: ApiHarness) -> str:
    """URL of a take that contains DATA."""
    await api.http.post("/v1/music/generate", json={}, headers=KEY)
    return f"/v1/audio/{await api.succeed([DATA])}/1.mp3"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_redirect_leads_to_the_audio(
    api: ApiHarness, anybody: httpx.AsyncClient, method: str
) -> None:
    answer = await api.http.request(method, await take(api), headers=KEY)
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["cache-control"] == "no-store"
    audio = await anybody.request(method, answer.headers["location"])
    assert audio.status_code == 200
    assert audio.headers["content-length"] == str(len(DATA))
    assert audio.content == (DATA if method == "GET" else b"")


async def test_a_range_is_the_stores_to_answer(api: ApiHarness, anybody: httpx.AsyncClient) -> None:
    part = {"Range": "bytes=10-19"}
    answer = await api.http.get(await take(api), headers=KEY | part)
    assert answer.status_code == 307
    audio = await anybody.get(answer.headers["location"], headers=part)
    assert (audio.status_code, audio.content) == (206, DATA[10:20])


async def test_the_key_is_still_needed(api: ApiHarness) -> None:
    url = await take(api)
    problem_of(await api.http.get(url), 401, "missing_api_key")
    wrong = await api.http.get(url, headers={"Authorization": "Bearer x"})
    problem_of(wrong, 401, "invalid_api_key")
    assert "location" not in wrong.headers


async def test_the_url_is_good_for_as_long_as_the_setting_says(
    make_api: MakeHarness, s3_url: str
) -> None:
    api = await make_api(artifacts=s3_url, downloads="redirect", download_seconds=77)
    answer = await api.http.get(await take(api))
    assert httpx.URL(answer.headers["location"]).params["X-Amz-Expires"] == "77"


async def test_a_copy_that_is_still_good_needs_no_redirect(api: ApiHarness) -> None:
    answer = await api.http.get(await take(api), headers=KEY | {"If-None-Match": "*"})
    assert answer.status_code == 304


async def test_audio_that_is_gone_is_a_problem_of_ours(api: ApiHarness) -> None:
    """Not a redirect to the store's own page of XML."""
    url = await take(api)
    await api.artifacts.delete_prefix("takes")
    problem_of(await api.http.get(url, headers=KEY), 404, "audio_not_found")
