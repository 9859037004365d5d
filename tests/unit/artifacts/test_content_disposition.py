"""File names made from captions: safe on every system, in the caption's own language."""

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.artifacts.content_disposition import disposition


def name_of(caption: str) -> tuple[str, str]:
    """The plain and the full file name in the header."""
    header = disposition(caption, 0, "mp3")
    header.encode("latin-1")  # only what HTTP can send
    message = Message()
    message["Content-Disposition"] = header.partition("; filename*")[0]
    plain = message.get_filename()
    assert plain is not None
    return plain, unquote(header.partition("filename*=UTF-8''")[2])


@pytest.mark.parametrize(
    ("caption", "plain", "full"),
    [
        ("Café noir", "Cafe noir 1.mp3", "Café noir 1.mp3"),
        ("雨の歌", "acestep 1.mp3", "雨の歌 1.mp3"),
        ("", "acestep 1.mp3", "acestep 1.mp3"),
        ("../../etc/passwd", "etc passwd 1.mp3", "etc passwd 1.mp3"),
        ('a"b\\c\r\nSet-Cookie: x', "a b c Set-Cookie x 1.mp3", "a b c Set-Cookie x 1.mp3"),
        ("x" * 500, "x" * 60 + " 1.mp3", "x" * 60 + " 1.mp3"),
        ("evil\u202e3pm.exe", "evil 3pm exe 1.mp3", "evil 3pm exe 1.mp3"),
    ],
)
def test_file_names(caption: str, plain: str, full: str) -> None:
    assert name_of(caption) == (plain, full)


@given(st.text())
def test_file_names_of_anything(caption: str) -> None:
    for name in name_of(caption):
        assert name.endswith("1.mp3") and len(name) < 80
        assert not set(name) & set('/\\:*?"<>|\0\r\n')
