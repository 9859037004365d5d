"""Bodies: how each Content-Type is read, and what happens to broken bodies."""

import encodings
import json
import logging
from collections.abc import AsyncIterator

import pytest

from acestep_ray.api.problems import Problem
from acestep_ray.api.request.content_type import codec_of
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, field_errors, problem_of, warnings_of

JSON = b'{"caption": "caf\xc3\xa9", "bpm": "120"}'
FORM = b"caption=caf%C3%A9&bpm=120"
BOUNDARY = "----song"


def multipart(*parts: tuple[str, bytes], end: bytes = b"--\r\n") -> bytes:
    """Parts as (Content-Disposition parameters, data)."""
    body = b"".join(
        b"------song\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), data)
        for head, data in parts
    )
    return body + b"------song" + end


async def send(api: ApiHarness, content: bytes, content_type: str | None) -> tuple[str, int | None]:
    """The caption and bpm that were read from the body."""
    headers = {"Content-Type": content_type} if content_type is not None else {}
    answer = await api.http.post(URL, content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    spec = await api.stored(answer.json()["job_id"])
    return spec.decode.caption, spec.decode.bpm


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", JSON),
        ("Application/JSON; charset=UTF-8", JSON),
        ('application/json; charset="utf-8"', JSON),
        ("application/vnd.music+json", JSON),
        ("application/problem+json; charset=utf-8", JSON),
        ("application/json; charset=latin-1", '{"caption": "café", "bpm": 120}'.encode("latin-1")),
        ("application/json; charset=utf-16", '{"caption": "café", "bpm": 120}'.encode("utf-16")),
        ("application/json", b"\xef\xbb\xbf" + JSON),
        ("application/json", b'{"caption": "x", "bpm": 90, "caption": "caf\xc3\xa9", "bpm": 120}'),
        ("application/x-www-form-urlencoded", FORM),
        ("application/x-www-form-urlencoded; charset=utf-8", FORM + b"&caption=second"),
        ("application/x-www-form-urlencoded; charset=latin-1", b"caption=caf%E9&bpm=120"),
        ("application/x-www-form-urlencoded", JSON),
        ("application/x-www-form-urlencoded", b"\n " + JSON),
        (None, JSON),
        (None, FORM),
        ("text/plain", JSON),
        ("text/plain; charset=utf-8", FORM),
        ("application/octet-stream", JSON),
        ("nonsense", FORM + b"\r\n"),
        ("", JSON),
        (
            f"multipart/form-data; boundary={BOUNDARY}",
            multipart(('name="caption"', "café".encode()), ('name="bpm"', b"120")),
        ),
        (
            f'multipart/form-data; charset=latin-1; boundary="{BOUNDARY}"',
            multipart(('name="caption"', "café".encode("latin-1")), ('name="bpm"', b"120")),
        ),
        (
            f"multipart/form-data; boundary={BOUNDARY}",
            multipart(
                ('name="bpm"', b"120"), ("name=caption", "café".encode()), ('name="caption"', b"x")
            ),
        ),
    ],
)
async def test_bodies(api: ApiHarness, content_type: str | None, content: bytes) -> None:
    assert await send(api, content, content_type) == ("café", 120)


async def test_forms_without_fields_are_requests_for_defaults(api: ApiHarness) -> None:
    assert await send(api, b"", "application/x-www-form-urlencoded") == ("", None)
    empty = f"multipart/form-data; boundary={BOUNDARY}"
    assert await send(api, b"------song--\r\n", empty) == ("", None)
    assert await send(api, b"{}", "application/json") == ("", None)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"a": 1,}', b"[1]", b'"text"', b"5", b"null", b"\xff{}", b'{"a": "\xff"}',
     b"caption=x", b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000],
)  # fmt: skip
async def test_malformed_json(api: ApiHarness, content: bytes) -> None:
    answer = await api.http.post(URL, content=content, headers={"Content-Type": "application/json"})
    problem_of(answer, 400, "malformed_body")
    assert await api.queued() == 0


@pytest.mark.parametrize(
    "content", [b'{"caption": "x",}', b"[1]", b"caption=%FF", b"a&" * 501, b"\xff"]
)
async def test_malformed_forms(api: ApiHarness, content: bytes) -> None:
    answer = await api.http.post(
        URL, content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    problem_of(answer, 400, "malformed_body")


WHOLE = multipart(('name="caption"', b"x"))


@pytest.mark.parametrize(
    ("boundary", "content"),
    [
        ("", WHOLE),
        ("; boundary=", WHOLE),
        (f"; boundary={'b' * 300}", WHOLE),
        ("; boundary=other", WHOLE),
        (f"; boundary={BOUNDARY}", b""),
        (f"; boundary={BOUNDARY}", b"no form"),
        *((f"; boundary={BOUNDARY}", WHOLE[:cut]) for cut in range(1, len(WHOLE) - 4, 5)),
        (f"; boundary={BOUNDARY}", multipart(("filename=x", b"no name"))),
        (f"; boundary={BOUNDARY}", multipart(('name="caption"', b"\xff"))),
        (f"; boundary={BOUNDARY}", multipart(*[("name=a", b"")] * 501)),
        (f"; boundary={BOUNDARY}", multipart((f'name="{"n" * 100_000}"', b""))),
    ],
)
async def test_malformed_multipart(api: ApiHarness, boundary: str, content: bytes) -> None:
    answer = await api.http.post(
        URL, content=content, headers={"Content-Type": f"multipart/form-data{boundary}"}
    )
    problem_of(answer, 400, "malformed_body")
    assert await api.queued() == 0


@pytest.mark.parametrize("content_type", [None, "text/plain", "image/png"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"[1]",
        b"{caption: 'x'}",
        b'{"a=b",',
        b"\xff=",
        b"colour=red",
        b"=x",
        b'<?xml version="1.0"?><caption a="b">x</caption>',
        b"key = value &amp; caption",
        b"%FF=1",
    ],
)
async def test_what_is_neither_json_nor_pairs(
    api: ApiHarness, content_type: str | None, content: bytes
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    problem = problem_of(
        await api.http.post(URL, content=content, headers=headers), 415, "unsupported_media_type"
    )
    for supported in (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ):
        assert supported in problem["detail"]


@pytest.mark.parametrize("charset", ["klingon", "zlib", "punycode", "unicode_escape", "a\0b", "é"])
async def test_charsets_that_are_none(api: ApiHarness, charset: str) -> None:
    content_type = f"application/json; charset={charset}".encode("latin-1")
    answer = await api.http.post(URL, content=b"{}", headers={b"Content-Type": content_type})
    problem_of(answer, 415, "unsupported_media_type")


def test_names_of_charsets() -> None:
    for name, codec in {
        **dict.fromkeys(("utf8", "UTF-8", " 'utf-8' ", "U8"), "utf-8"),
        **dict.fromkeys(("latin1", "ISO-8859-1", "iso_8859-1:1987", "L1"), "iso8859-1"),
        **dict.fromkeys(("windows-1252", "CP1252"), "cp1252"),
        **{"Shift_JIS": "shift_jis", "euc-kr": "euc_kr", "UTF-16LE": "utf-16-le", "": ""},
    }.items():
        assert codec_of(name) == codec


def test_unknown_charsets_leave_nothing_behind() -> None:
    """Python stores every name of a codec that it has searched for without success."""
    known = len(encodings._cache)
    for name in ("klingon", "x" * 1_000_000, "utf-8" + "x" * 100, "é", "ütf-8"):
        with pytest.raises(Problem, match="Unknown charset"):
            codec_of(name)
    assert len(encodings._cache) == known


async def test_a_compressed_body_is_refused(api: ApiHarness) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem_of(
        await api.http.post(URL, content=b"\x1f\x8b", headers=headers),
        415,
        "unsupported_media_type",
    )


async def test_a_caption_of_two_megabytes(api: ApiHarness) -> None:
    caption = "x" * 2_000_000
    problem_of(await api.submit(caption=caption), 413, "body_too_large")
    problem_of(await api.http.post(URL, data={"caption": caption}), 413, "body_too_large")
    form = await api.http.post(URL, files={"caption": (None, caption)})
    problem_of(form, 413, "body_too_large")
    assert await api.queued() == 0


async def test_many_fields_are_large_together(api: ApiHarness) -> None:
    parts = [("lyrics", (None, "x" * 100_000))] * 11
    problem_of(await api.http.post(URL, files=parts), 413, "body_too_large")


async def much(chunk: bytes) -> AsyncIterator[bytes]:
    """A body without a Content-Length."""
    for _ in range(1000):
        yield chunk


@pytest.mark.parametrize(
    ("content_type", "chunk"),
    [
        ("application/json", b" " * 100),
        (f"multipart/form-data; boundary={BOUNDARY}", b"\r\n" * 50),
        ("text/plain", b"=" * 100),
    ],
)
async def test_limits_without_a_content_length(
    make_api: MakeHarness, content_type: str, chunk: bytes
) -> None:
    api = await make_api(limits={"upload_bytes": 1000, "text_bytes": 500})
    answer = await api.http.post(URL, content=much(chunk), headers={"Content-Type": content_type})
    problem_of(answer, 413, "body_too_large")


async def test_a_body_as_large_as_it_may_be(make_api: MakeHarness) -> None:
    body = json.dumps({"caption": "x" * 300}).encode()
    api = await make_api(limits={"text_bytes": len(body)})
    headers = {"Content-Type": "application/json"}
    assert (await api.http.post(URL, content=body, headers=headers)).status_code == 200
    over = await api.http.post(URL, content=body + b" ", headers=headers)
    problem_of(over, 413, "body_too_large")


async def test_unknown_fields_are_reported_and_ignored(api: ApiHarness) -> None:
    reported = warnings_of(await api.submit(caption="x", colour="red", **{"half\ud83d\0": 1}))
    assert reported.startswith("Unknown fields, ignored: colour, half")
    form = await api.http.post(URL, data={"caption": "x", "colour": "red", "empty": ""})
    assert warnings_of(form) == "Unknown fields, ignored: colour."
    many = warnings_of(await api.submit(**{f"unknown_{n}": n for n in range(100)}))
    assert "and 80 more" in many and len(many) < 1000


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (b"hello&prompt=x", "Unknown fields, ignored: hello (no =)."),
        (b"a&b%20b&c&prompt=x", "Unknown fields, ignored: a (no =), b b (no =), c (no =)."),
        (b"caption&prompt=x", "Unknown fields, ignored: caption (no =)."),
        (b"=x&prompt=x", "Unknown fields, ignored: (no name)."),
        (b"caption=a&&", ""),
        (
            b"caption=a&bpm=90&caption=b&caption=c&bpm=91",
            "Sent more than once, only the first is used: caption, bpm.",
        ),
        (
            b"caption=x&metas[bpm]=90&metas[bpm]=91&metas=%7B%7D",
            "Sent more than once, only the first is used: metas[bpm], metas.",
        ),
    ],
)
async def test_what_is_odd_in_a_form_is_told(
    api: ApiHarness, content: bytes, reported: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert warnings_of(await api.http.post(URL, content=content, headers=headers)) == reported


async def test_text_fields_that_are_sent_as_files(api: ApiHarness) -> None:
    """``curl -F lyrics=@song.txt``."""
    files = {
        "lyrics": ("song.txt", "[verse]\nÄpfel\n\n".encode(), "text/plain"),
        "bpm": ("b.txt", b"120\r\n", "text/plain"),
        "prompt": ("c.txt", b"\xef\xbb\xbfa tune\n", "text/plain"),
        "key_scale": ("", b"", "text/plain"),
    }
    answer = await api.http.post(URL, files=files)
    assert warnings_of(answer) == ""
    spec = await api.stored(answer.json()["job_id"])
    assert (spec.decode.lyrics, spec.decode.bpm, spec.decode.caption) == (
        "[verse]\nÄpfel",
        120,
        "a tune",
    )


@pytest.mark.parametrize("name", ["caption", "src_audio_path", "thinking"])
async def test_files_that_are_no_text_under_a_text_fields_name(api: ApiHarness, name: str) -> None:
    answer = await api.http.post(URL, files={name: ("a.mp3", b"\xff\xfb\x90\x00")})
    large = await api.http.post(URL, files={name: ("a.txt", b"x" * 1_000_001)})
    for detail in (
        problem_of(answer, 400, "malformed_body")["detail"],
        problem_of(large, 413, "body_too_large")["detail"],
    ):
        assert name in detail and "Audio is sent as the file src_audio" in detail


async def test_parts_that_come_twice(api: ApiHarness) -> None:
    parts = [("caption", (None, b"a")), ("caption", ("c.txt", b"b")), ("bpm", (None, b"90"))]
    answer = await api.http.post(URL, files=parts)
    assert warnings_of(answer) == "Sent more than once, only the first is used: caption."
    assert (await api.stored(answer.json()["job_id"])).decode.caption == "a"


async def test_malformed_forms_are_no_news(
    api: ApiHarness, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        for content in (b"no form", b"------song\r\n\xff\xfe\r\n", WHOLE + b"trailing"):
            await api.http.post(URL, content=content, headers=headers)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_a_text_where_a_file_belongs(api: ApiHarness) -> None:
    """``-F src_audio=song.mp3`` without the @ is a common mistake."""
    answer = await api.http.post(URL, data={"src_audio": "song.mp3", "task_type": "repaint"})
    errors = field_errors(answer)
    assert set(errors) == {"src_audio"} and "@" in errors["src_audio"]
    assert "reference_audio" in field_errors(await api.submit(referenceAudio="x"))


async def test_parameters_of_the_url_are_no_fields(api: ApiHarness) -> None:
    answer = await api.http.post(f"{URL}?caption=other", json={"caption": "mine"})
    assert (await api.stored(answer.json()["job_id"])).decode.caption == "mine"
