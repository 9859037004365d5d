"""What a user gives is what is sent, and what no request can hold is refused before it is sent."""

import io
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acestep_ray.client.request_body import request_body
from acestep_ray.client.uploads import Body, FormBody, JsonBody


def sent(body: Body) -> tuple[str, bytes]:
    """Content-Type and bytes of one try."""
    with ExitStack() as files:
        arguments = body.arguments(files)
        request = httpx2.Request("POST", "http://music", **arguments)
        return request.headers["content-type"], request.read()


def document(**fields: object) -> Any:
    body = request_body(fields)
    assert isinstance(body, JsonBody)
    return json.loads(body.content)


def form(**fields: object) -> FormBody:
    body = request_body({"src_audio": b"RIFF", **fields})
    assert isinstance(body, FormBody)
    return body


def test_fields_are_json_and_those_that_are_none_have_the_services_default() -> None:
    assert document(caption="曲", bpm=None, seed=(1, 2), metas={"bpm": 90}, use_5hz_lm=False) == {
        "caption": "曲",
        "seed": [1, 2],
        "metas": {"bpm": 90},
        "use_5hz_lm": False,
    }


def test_words_of_javascript_are_a_caption_in_json() -> None:
    assert document(caption="None") == {"caption": "None"}


def test_with_a_file_values_have_the_form_in_which_the_service_reads_them() -> None:
    body = form(use_5hz_lm=True, bpm=90, audio_duration=2.5, seed=[1, 2], metas={"a": "é"})
    assert body.fields == {
        "use_5hz_lm": "true",
        "bpm": "90",
        "audio_duration": "2.5",
        "seed": "[1, 2]",
        "metas": '{"a": "\\u00e9"}',
    }


@pytest.mark.parametrize("word", ["null", "None", "undefined"])
def test_a_caption_that_a_form_would_lose_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"caption cannot be '{word}' in a request that has a"):
        form(caption=word)


def test_a_misspelt_keyword_is_a_type_error_that_names_the_right_one() -> None:
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'captoin'; did you mean 'cap"
    ):
        request_body({"captoin": "pop"})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    for fields in ({"bpm": value}, {"bpm": value, "src_audio": b"RIFF"}):
        with pytest.raises(ValueError, match="JSON compliant"):
            request_body(fields)


def test_each_kind_of_file_is_sent_whole_at_every_try(tmp_path: Path) -> None:
    path = tmp_path / "曲.wav"
    path.write_bytes(b"from a path")
    opened = io.BytesIO(b"skipped" + b"from an open file")
    opened.seek(7)
    for value, name, content in (
        (path, "曲.wav", b"from a path"),
        (b"from bytes", "src_audio", b"from bytes"),
        (bytearray(b"an array"), "src_audio", b"an array"),
        (("take.mp3", b"with a name"), "take.mp3", b"with a name"),
        (opened, "src_audio", b"from an open file"),
    ):
        body = request_body({"src_audio": value})
        for _ in range(2):
            content_type, data = sent(body)
            assert content_type.startswith("multipart/form-data; boundary=")
            assert b"\r\n\r\n" + content + b"\r\n--" in data
            assert f'name="src_audio"; filename="{name}"'.encode() in data


def test_an_open_file_of_disk_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    path.write_bytes(b"fLaC")
    with path.open("rb") as file:
        assert b'filename="song.flac"' in sent(request_body({"reference_audio": file}))[1]


@pytest.mark.parametrize("value", ["song.mp3", 3, io.StringIO("text"), ("a", "b"), ("a", b"b", 1)])
def test_what_is_no_file_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="src_audio must be a Path, bytes,"):
        request_body({"src_audio": value})


def test_a_missing_file_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        request_body({"src_audio": tmp_path / "missing.mp3"})
