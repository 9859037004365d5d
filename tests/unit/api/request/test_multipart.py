"""Multipart forms as programs really write them."""

import base64
import json
from collections.abc import Callable
from email.mime.audio import MIMEAudio
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import httpx
import pytest

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, field_errors, problem_of, warnings_of
from tests.unit.api.request.forms import END, TASK, TYPE, named, part
from tests.unit.api.request.test_source_audio import SONG


async def post(api: ApiHarness, content: bytes, content_type: str = TYPE) -> httpx.Response:
    return await api.http.post(URL, content=content, headers={"Content-Type": content_type})


async def assert_cover(api: ApiHarness, answer: httpx.Response) -> None:
    """The song arrived complete, as the source of a cover."""
    assert answer.status_code == 200, answer.text
    assert "warnings" not in answer.json()
    spec = await api.stored(answer.json()["job_id"])
    assert spec.decode.task == "cover"
    assert spec.decode.source and spec.decode.source.samples == 16_000


@pytest.mark.parametrize("content_type", [(), ("Content-Type: audio/wav",)])
@pytest.mark.parametrize(
    "parameters",
    [
        'name="src_audio"; filename="song.wav"',
        'name="src_audio"',
        "name=src_audio",
        'name="src_audio"; filename=""',
        "name=\"src_audio\"; filename*=utf-8''%E6%9B%B2.wav",
        "name=\"src_audio\"; filename*=UTF-8'en'%E6%9B%B2.wav",
        "name=\"src_audio\"; filename*=gb18030''%C7%FA.wav",
        "name=src_audio; filename=a.wav; filename*=utf-8''a.wav",
        "name=src_audio; filename=\"=?utf-8?B?5puyLndhdg==?=\"; filename*=utf-8''%E6%9B%B2.wav",
        'name="src_audio"; filename="=?utf-8?Q?caf=C3=A9.wav?="',
        'name="src_audio"; filename*0="a very "; filename*1="long name.wav"',
        'name="src_audio"; filename="caf\xe9.wav"',
        'name="src_audio"; filename=caf\xe9 au lait.wav',
        'name="src_audio"; filename="C:\\fakepath\\song.wav"',
        'name="src_audio"; filename="a\\"b.wav"',
        'name="src_audio"; filename="a"b.wav"',
        'name="src_audio"; filename="a%22b;.wav"',
        'name="src_audio"; filename="folder\\"',
        'NAME="src_audio"; FILENAME="song.wav"',
        'name="src_audio"; filename="song.wav"; size=32044; x',
        'name="srcAudio"; filename="song.wav"',
        'name="src_audio[]"; filename="song.wav"',
    ],
)
async def test_a_file_however_it_is_named(
    make_api: MakeHarness, parameters: str, content_type: tuple[str, ...]
) -> None:
    api = await make_api(limits={"text_bytes": 100})  # a file is not text, so never too large
    await assert_cover(api, await post(api, TASK + named(parameters, SONG, *content_type) + END))


async def test_files_that_were_left_empty_are_not_sent(api: ApiHarness) -> None:
    """As browsers send an input without a file, and others their version of it."""
    octets = "Content-Type: application/octet-stream"
    empty = [
        named('name="src_audio"; filename=""', b"", octets),
        named('name="reference_audio"', b"", "Content-Type: audio/wav"),
        named('name="src_audio"', b"undefined"),
        named('name="src_audio"', b"null", "Content-Type: application/json"),
    ]
    for content in empty:
        answer = await post(api, named("name=caption", b"x") + content + END)
        assert "warnings" not in answer.json(), content
        assert (await api.stored(answer.json()["job_id"])).decode.source is None
    song = named('name="src_audio"; filename="song.wav"', SONG)
    await assert_cover(api, await post(api, TASK + empty[0] + song + END))


async def test_a_named_file_without_bytes_is_refused(api: ApiHarness) -> None:
    content = TASK + named('name="src_audio"; filename="song.wav"', b"") + END
    assert set(field_errors(await post(api, content), "invalid_audio")) == {"src_audio"}


@pytest.mark.parametrize("text", [b"song.mp3", "曲 é.mp3".encode() * 400, b"UklGRiR9\r\n" * 1000])
async def test_a_text_in_place_of_a_file(api: ApiHarness, text: bytes) -> None:
    """A path without its ``@``, or base64: the error explains how to send a file."""
    answer = await post(api, TASK + named('name="src_audio"', text) + END)
    assert '-F "src_audio=@song.mp3"' in field_errors(answer)["src_audio"]


async def test_parts_of_no_field_are_dropped_however_large(make_api: MakeHarness) -> None:
    api = await make_api(limits={"text_bytes": 100})
    content = named('name="audio"', b"\xff\xfb" * 1000, "Content-Type: audio/mpeg")
    content += named('name="note"', b"x" * 200) + named('name="nothing"', b"")
    content += named('name="\xe9"; filename="x"', b"\xff")
    reported = warnings_of(await post(api, named("name=caption", b"x") + content + END))
    assert reported == "Unknown fields, ignored: audio, note, \ufffd."


FILE = named('name="src_audio"; filename="song.wav"', SONG, "Content-Type: audio/wav")
WHOLE = TASK + FILE + END


def lines(end: bytes) -> bytes:
    """The whole form, with other line ends; the song contains bytes of its own kind."""
    head, _, _ = WHOLE.partition(SONG)
    return head.replace(b"\r\n", end) + SONG + (b"\r\n" + END).replace(b"\r\n", end)


def folded() -> bytes:
    headers = (
        b"cONTENT-tYPE:\taudio/wav;\r\n\tcodec=1\r\nContent-Length: 32044\r\nX-Part: 2\r\n"
        b'CONTENT-DISPOSITION:form-data;\r\n  name=src_audio;\r\n\tfilename="a\r\n b.wav"\r\n'
        b"Content-ID: <1>\r\nContent-Transfer-Encoding: Binary"
    )
    return TASK + part(headers, SONG) + END


def as_a_mail() -> bytes:
    """What Python's email package writes: headers as preamble, base64, lines that end in LF."""
    mail = MIMEMultipart("form-data", boundary="b")
    task = MIMEText("cover")
    task.add_header("Content-Disposition", "form-data", name="task_type")
    song = MIMEAudio(SONG, "wav")
    song.add_header("Content-Disposition", "form-data", name="src_audio", filename="曲 " * 40)
    mail.attach(task)
    mail.attach(song)
    return mail.as_bytes()


FRAMES: dict[str, Callable[[], bytes]] = {
    "as browsers write it": lambda: WHOLE,
    "no line end after the last boundary": lambda: WHOLE[:-2],
    "an epilogue": lambda: WHOLE + b"That was all.\r\n--b\r\n" + b"x" * 200_000,
    "an empty line first": lambda: b"\r\n" + WHOLE,
    "two empty lines first": lambda: b"\r\n\r\n" + WHOLE,
    "a preamble": lambda: b"This is a form.\r\nRead it with care --bb.\r\n" + WHOLE,
    "headers as preamble": lambda: b"MIME-Version: 1.0\nContent-Type: x\n\n" + WHOLE,
    "blanks after boundaries": lambda: WHOLE.replace(b"--b\r\n", b"--b \t\r\n"),
    "LF": lambda: lines(b"\n"),
    "CR": lambda: lines(b"\r"),
    "LF before boundaries alone": lambda: WHOLE.replace(b"\r\n--b", b"\n--b"),
    "folded headers of odd case": folded,
    "a mail": as_a_mail,
}


@pytest.mark.parametrize("frame", FRAMES)
async def test_frames(api: ApiHarness, frame: str) -> None:
    await assert_cover(api, await post(api, FRAMES[frame]()))


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ('multipart/form-data; boundary="b"', "b"),
        ("Multipart/Form-Data;Boundary=b", "b"),
        ("multipart/form-data; charset=utf-8; boundary=b", "b"),
        ("multipart/form-data;boundary=b;charset=UTF-8", "b"),
        ("multipart/form-data, boundary=b", "b"),
        ('multipart/form-data; boundary="b c"', "b c"),
        ("multipart/form-data; boundary=a boundary of mine", "a boundary of mine"),
        ("multipart/form-data; boundary=b/Qe.F(:)=?+'", "b/Qe.F(:)=?+'"),
        (f"multipart/form-data; boundary={'-' * 28}1{'2' * 200}", f"{'-' * 28}1{'2' * 200}"),
    ],
)
async def test_boundaries(api: ApiHarness, header: str, boundary: str) -> None:
    content = WHOLE.replace(b"--b", b"--" + boundary.encode())
    await assert_cover(api, await post(api, content, header))


@pytest.mark.parametrize(
    ("content_type", "content", "words"),
    [
        ("multipart/form-data", WHOLE, ["names no multipart boundary", "Leave that header"]),
        ("multipart/form-data; boundary=other", WHOLE, ["--other; it has --b.", "Leave that"]),
        ("multipart/form-data; boundary=b", b"{}", ["names, --b. Leave"]),
        ("multipart/form-data; boundary=b", b"", ["names, --b. Leave"]),
        ("multipart/form-data; boundary=b", WHOLE[:-6], ["ends before its last boundary, --b--"]),
        ("multipart/form-data; boundary=b", TASK, ["ends before its last boundary"]),
        ("multipart/form-data; boundary=b", part(b"X: y", b"") + END, ["has no name"]),
        ("application/json", WHOLE, ["is application/json, but the body is a multipart form"]),
        ("application/x-www-form-urlencoded", TASK + END, ["Leave that header"]),
        ("text/plain", TASK + END, ["is text/plain, but the body is a multipart form"]),
        ("", TASK + END, ["is missing, but the body is a multipart form"]),
        ("application/x-www-form-urlencoded", SONG, ["Audio is sent as a file of a multipart"]),
    ],
)
async def test_what_is_wrong_with_a_form_is_said(
    api: ApiHarness, content_type: str, content: bytes, words: list[str]
) -> None:
    detail = problem_of(await post(api, content, content_type), 400, "malformed_body")["detail"]
    assert all(word in detail for word in words), detail


@pytest.mark.parametrize("size", [1000, 2_000_000])
async def test_audio_that_is_the_whole_body(api: ApiHarness, size: int) -> None:
    """``curl --data-binary``, or n8n's "binary file": the error names what to send instead."""
    answer = await post(api, b"\xff\xfb" * (size // 2), "audio/mpeg")
    detail = problem_of(answer, 415, "unsupported_media_type")["detail"]
    assert "Audio is sent as a file of a multipart/form-data body" in detail
    large = await post(api, json.dumps({"src_audio": "x" * 2_000_000}).encode(), "application/json")
    assert "Audio is sent as a file" in problem_of(large, 413, "body_too_large")["detail"]


LATIN = "café".encode("latin-1")
CAPTION = named('name="caption"', LATIN)


@pytest.mark.parametrize(
    "content",
    [
        named('name="caption"', LATIN, "Content-Type: text/plain; charset=iso-8859-1"),
        named('name="caption"', LATIN, 'Content-Type: text/plain; charset="ISO-8859-1"; x=y'),
        named('name="caption"', "café".encode("utf-16"), "Content-Type: text/plain;charset=utf-16"),
        named('name="caption"', "café".encode(), "Content-Type: text/plain; charset=UTF-8"),
        named('name="caption"', "café".encode(), "Content-Type: application/json"),
        named('name="caption"; filename="c.txt"', LATIN + b"\n", "Content-Type: x; charset=cp1252"),
        named('name="_charset_"', b"iso-8859-1") + CAPTION,
        CAPTION + named('name="_charset_"', b"windows-1252"),
        named('name="_charset_"', b"") + named('name="caption"', "café".encode()),
        named('name="_charset_"', b"koi8-r")
        + named('name="caption"', "café".encode(), "Content-Type: text/plain; charset=utf-8"),
        named('name="caption"', b"Y2Fmw6k=\r\n", "Content-Transfer-Encoding: base64"),
        named('name="caption"', b"caf=C3=\r\n=A9", "Content-Transfer-Encoding: Quoted-Printable"),
        named('name="caption"', "café".encode(), "Content-Transfer-Encoding: 8bit"),
    ],
)
async def test_texts_that_say_how_they_are_written(api: ApiHarness, content: bytes) -> None:
    answer = await post(api, content + END)
    assert warnings_of(answer) == ""
    assert (await api.stored(answer.json()["job_id"])).decode.caption == "café"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (CAPTION, 400, "caption is not utf-8 text"),
        (named('name="caption"', b"x", "Content-Type: a/b; charset=klingon"), 415, "klingon"),
        (named('name="_charset_"', b"zlib") + CAPTION, 415, "zlib"),
        (named('name="caption"', b"\xe9", "Content-Transfer-Encoding: base64"), 200, ""),
        (named('name="caption"', b"abc", "Content-Transfer-Encoding: base64"), 400, "not base64"),
        (named('name="src_audio"; filename="a"', b"abc", "Content-Transfer-Encoding: base64"),
         400, "src_audio is not base64: its end is missing"),
        (named('name="src_audio"; filename="a"', b"a===", "Content-Transfer-Encoding: base64"),
         400, "src_audio is not base64"),
        (named('name="src_audio"', b"=\n", "Content-Transfer-Encoding: quoted-printable"),
         400, "src_audio is a file in quoted-printable"),
    ],
)  # fmt: skip
async def test_texts_that_are_not_what_they_say(
    api: ApiHarness, content: bytes, status: int, words: str
) -> None:
    answer = await post(api, content + END)
    assert answer.status_code == status and words in answer.text


async def test_a_file_in_base64(api: ApiHarness) -> None:
    """As ansible's uri module sends every file."""
    for data in (base64.encodebytes(SONG), base64.b64encode(SONG)):
        song = named('name="src_audio"; filename="a"', data, "content-transfer-encoding: BASE64")
        await assert_cover(api, await post(api, TASK + song + END))
