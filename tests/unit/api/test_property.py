"""Whatever a client sends: a response below 500, and a job only if the response states one."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acestep_ray.api.app import create_app
from acestep_ray.api.problems import Problem
from acestep_ray.api.request.aliases import ALIASES, FILES, NESTED
from acestep_ray.api.request.generate_request import FIELDS
from acestep_ray.api.request.multipart_parts import PartHeaders
from acestep_ray.api.request.unsupported_fields import REFUSED
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.settings import Limits, Settings
from tests.unit.api.harness import URL, LocalService

NAMES = [*ALIASES, *(a for names in ALIASES.values() for a in names), *NESTED, *REFUSED, *FILES]
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 1, 8, 30, 120, 600, 2**32]))
TEXTS = st.one_of(
    st.text(st.characters(), max_size=20),
    NUMBERS.map(str),
    st.sampled_from(
        ["true", "no", "cover", "mp3", "Am", "4/4", "<|audio_code_5|>", "\ud83d", "\0"]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(TEXTS, st.sampled_from(NAMES)), inner),
    ),
    max_leaves=6,
)
BODIES = st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), VALUES, max_size=8)
CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "",
     "multipart/form-data; boundary=b", "application/json; charset=utf-16"]
)  # fmt: skip
QUICK = settings(
    max_examples=2 * settings().max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Poster:
    """One app with its own event loop, because hypothesis calls plain functions."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient, service: LocalService):
        self._runner, self._http, self._service = runner, http, service

    def __call__(self, content: bytes, content_type: str) -> None:
        """Post it, and check the response."""
        self._service.submits.clear()
        headers = {"Content-Type": content_type}
        answer = self._runner.run(self._http.post(URL, content=content, headers=headers))
        body: dict[str, Any] = answer.json()
        if answer.status_code == 200:
            (order,) = self._service.submits
            JobSpec.model_validate_json(order.spec)
            assert body["status"] == "queued"
            return
        assert 400 <= answer.status_code < 500 and not self._service.submits
        assert answer.headers["content-type"] == "application/problem+json"
        for entry in body.get("errors", []):
            assert entry["field"] in {*FIELDS, *NESTED, *REFUSED, *FILES}


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Poster]:
    settings = Settings(data=tmp_path, limits=Limits(queue=10_000))
    service = LocalService(tmp_path / "jobs.sqlite", settings)
    app = create_app(settings, service, Artifacts(settings.artifacts_url))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://music")
    with asyncio.Runner() as runner:
        runner.run(service.coordinator.open())
        yield Poster(runner, http, service)
        runner.run(http.aclose())
        runner.run(service.coordinator.close())


@QUICK
@given(body=BODIES)
def test_any_json_object(post: Poster, body: dict[str, Any]) -> None:
    post(json.dumps(body).encode(), "application/json")


@QUICK
@given(content=st.binary(max_size=200), content_type=CONTENT_TYPES)
def test_any_bytes(post: Poster, content: bytes, content_type: str) -> None:
    post(content, content_type)


@QUICK
@given(
    content=st.lists(
        st.sampled_from(
            [b"--b\r\n", b"--b--", b"\r\n", b'Content-Disposition: form-data; name="bpm"', b"120",
             b'; filename="x"', b'Content-Disposition: form-data; name="src_audio"; filename="s"',
             b"\r\n\r\n", b":", b"\xff", b"-", b"\n", b'Content-Disposition: x; name="seed[]"',
             b"Content-Disposition: x; name=_charset_", b"Content-Type: text/plain; charset=",
             b"latin-1", b"Content-Transfer-Encoding: base64", b'; name="metas[bpm]"']
        ),
        max_size=12,
    ).map(b"".join)
)  # fmt: skip
def test_any_multipart(post: Poster, content: bytes) -> None:
    post(content, "multipart/form-data; boundary=b")


@QUICK
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(["", "", "[]", "[0]", "[bpm]", "[", "[x]]"]),
            st.one_of(TEXTS, VALUES.map(json.dumps), st.sampled_from(["null", "undefined"])),
        ),
        max_size=6,
    )
)
def test_any_form(post: Poster, pairs: list[tuple[str, str, str]]) -> None:
    texts = [(name + end, text.encode("utf-8", "replace")) for name, end, text in pairs]
    post(urlencode(texts).encode(), "application/x-www-form-urlencoded")
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), text)
        for n, text in texts
    )
    post(b"".join(parts) + b"--b--", "multipart/form-data; boundary=b")


@QUICK
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=10),
            st.sampled_from(
                [b"Content-Disposition: form-data", b"; name=", b'"', b";", b"\\", b"\r\n", b"\n ",
                 b"; filename*=", b"utf-8''%ff", b":", b"Content-Type: a; charset=", b"\0",
                 b"From "]
            ),
        ),
        max_size=20,
    ).map(b"".join)
)  # fmt: skip
def test_any_headers_of_a_part(block: bytes) -> None:
    with contextlib.suppress(Problem):
        PartHeaders.of(block)
