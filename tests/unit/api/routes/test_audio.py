"""Takes over HTTP, from a folder and from an object store: ranges, ETags, types and names."""

from hashlib import sha256

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.api.routes.byte_range import Span, Unsatisfiable, choose_span
from acestep_ray.formats import FORMATS
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of

DATA = bytes(range(256)) * 8


@pytest.fixture(params=["file", "s3"])
async def api(request: pytest.FixtureRequest, make_api: MakeHarness) -> ApiHarness:
    url = request.getfixturevalue("s3_url") if request.param == "s3" else ""
    return await make_api(artifacts=url)


async def take(api: ApiHarness, caption: str = "upbeat pop song", ext: str = "mp3") -> str:
    """URL of a take that contains DATA."""
    await api.submit(caption=caption)
    return f"/v1/audio/{await api.succeed([DATA, b'other'], ext=ext)}/1.{FORMATS[ext].extension}"


async def get(api: ApiHarness, url: str, **headers: str) -> httpx.Response:
    return await api.http.get(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.mark.parametrize(
    ("format", "ext", "media_type"),
    [("mp3", "mp3", "audio/mpeg"), ("wav", "wav", "audio/wav"), ("wav32", "wav", "audio/wav"),
     ("flac", "flac", "audio/flac"), ("opus", "opus", "audio/ogg"), ("ogg", "ogg", "audio/ogg"),
     ("aac", "m4a", "audio/mp4")],
)  # fmt: skip
async def test_the_whole_take(api: ApiHarness, format: str, ext: str, media_type: str) -> None:
    url = await take(api, ext=format)
    assert url.endswith(f"/1.{ext}")
    job = (await api.http.get(f"/v1/jobs/{url.split('/')[3]}")).json()
    assert job["result"]["first_audio_path"] == url
    answer = await get(api, url)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["etag"] == f'"{sha256(DATA).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f'filename="upbeat pop song 1.{ext}"' in answer.headers["content-disposition"]
    head = await api.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    mine = {"x-request-id": head.headers["x-request-id"]}
    assert dict(head.headers) == dict(answer.headers) | mine
    part = await get(api, url, Range="bytes=5-", If_Range=answer.headers["etag"])
    assert (part.status_code, part.content) == (206, DATA[5:])
    assert part.headers["content-type"] == media_type
    other = await get(api, url.replace("/1.", "/2."))
    assert other.content == b"other"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=2000-", 2000, 2048),
        ("bytes=2000-9999", 2000, 2048),
        ("bytes=-5", 2043, 2048),
        ("bytes=-9999", 0, 2048),
        ("Bytes = 1 - 2", 1, 3),
    ],
)
async def test_ranges(api: ApiHarness, asked: str, start: int, end: int) -> None:
    url = await take(api)
    answer = await get(api, url, Range=asked)
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=5-2", "frames=0-1", "bytes=a-b", "x"]
)
async def test_ranges_that_are_ignored(api: ApiHarness, asked: str) -> None:
    answer = await get(api, await take(api), Range=asked)
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=9999-10000", "bytes=-0"])
async def test_ranges_outside_the_file(api: ApiHarness, asked: str) -> None:
    answer = await get(api, await take(api), Range=asked)
    problem_of(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */2048"


async def test_conditions(api: ApiHarness) -> None:
    url = await take(api)
    etag = f'"{sha256(DATA).hexdigest()}"'
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        for answer in (
            await get(api, url, If_None_Match=known, Range="bytes=0-1"),
            await api.http.head(url, headers={"If-None-Match": known}),
        ):
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
    assert (await get(api, url, If_None_Match='"x"')).status_code == 200
    same = await get(api, url, If_Range=etag, Range="bytes=0-1")
    assert (same.status_code, same.content) == (206, DATA[:2])
    for other in ('"x"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT", ""):
        answer = await get(api, url, If_Range=other, Range="bytes=0-1")
        assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize(
    "name", ["3.mp3", "0.mp3", "-1.mp3", "1.wav", "01.mp3", "1", "1.mp3.bak", "take", "1.MP3"]
)
async def test_takes_that_are_none(api: ApiHarness, name: str) -> None:
    url = await take(api)
    for method in ("GET", "HEAD"):
        answer = await api.http.request(method, url.replace("1.mp3", name))
        assert answer.status_code == 404
    problem_of(await get(api, url.replace("1.mp3", name)), 404, "audio_not_found")


@pytest.mark.parametrize("name", ["..%2f..%2f1.mp3", "%2e%2e/1.mp3", "1.mp3/..", "a/b.mp3"])
async def test_no_paths(api: ApiHarness, name: str) -> None:
    answer = await get(api, (await take(api)).replace("1.mp3", name))
    assert answer.status_code == 404


async def test_a_job_without_audio(api: ApiHarness) -> None:
    job_id = (await api.submit()).json()["job_id"]
    problem = problem_of(await get(api, f"/v1/audio/{job_id}/1.mp3"), 404, "audio_not_found")
    assert "queued" in problem["detail"]
    await api.service.finish(await api.service.start(), None)
    problem_of(await get(api, f"/v1/audio/{job_id}/1.mp3"), 404, "audio_not_found")


async def test_audio_that_is_gone(api: ApiHarness) -> None:
    url = await take(api)
    await api.artifacts.delete_prefix("takes")
    problem_of(await get(api, url), 404, "audio_not_found")


@given(st.integers(1, 100), st.text(alphabet="bytes=0123456789-, ", max_size=20))
def test_any_range_lies_within_the_file(size: int, header: str) -> None:
    try:
        span = choose_span(size, '"x"', header, None)
    except Unsatisfiable:
        return
    assert span is None or span == Span(span.start, span.end, size)
    assert span is None or 0 <= span.start < span.end <= size
