"""The reader of multipart forms alone: wherever the network cuts, and with little memory."""

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acestep_ray.api.problems import Problem
from acestep_ray.api.request.content_type import Media, read_media
from acestep_ray.api.request.multipart import Form, read_multipart
from acestep_ray.settings import Limits
from tests.unit.api.request.forms import TYPE, named


async def read(content: bytes, sizes: list[int], folder: Path, media: Media) -> Form:
    async def chunks() -> AsyncIterator[bytes]:
        at = 0
        for size in sizes:
            if content[at : at + size]:
                yield content[at : at + size]
            at += size
        yield content[at:]

    return await read_multipart(chunks(), media, Limits(text_bytes=5000), folder)


def outcome(content: bytes, sizes: list[int]) -> Any:
    """Everything that is read from a form, or why it is refused."""
    with TemporaryDirectory() as folder:
        try:
            form = asyncio.run(read(content, sizes, Path(folder), read_media(TYPE)))
        except Problem as problem:
            return problem.status, problem.detail
        files = {name: upload.path.read_bytes() for name, upload in form.files.items()}
        assert {name: len(data) for name, data in files.items()} == {
            name: upload.size for name, upload in form.files.items()
        }
        return form.fields, files, form.ignored, form.repeated


PIECES = st.one_of(
    st.sampled_from(
        [b"--b\r\n", b"--b--", b"--b--\r\n", b"--b\n", b"--b ", b"\r\n", b"\n", b"\r", b"-", b"--",
         b"\r\n--b", b"\r\n\r\n", b"\n\n", b'Content-Disposition: form-data; name="caption"',
         b'Content-Disposition: form-data; name="src_audio"; filename="s"', b"x" * 200,
         b'Content-Disposition: form-data; name="src_audio"', b"Content-Type: text/plain",
         b"Content-Disposition: form-data; name=seed", b"; charset=latin-1", b" folded", b"\xff\0",
         b"Content-Transfer-Encoding: base64", b"Content-Disposition: x; name=_charset_", b"QUJD"]
    ),
    st.binary(max_size=8),
    st.tuples(
        st.sampled_from(["caption", "src_audio", "reference_audio", "seed[]", "other"]),
        st.sampled_from(["", "; filename=x", '; filename=""']),
        st.binary(max_size=40),
    ).map(lambda made: b"\r\n" + named(f"name={made[0]}{made[1]}", made[2])),
)  # fmt: skip


@settings(max_examples=settings().max_examples * 3 // 2)
@given(
    content=st.lists(PIECES, max_size=12).map(lambda pieces: b"".join(pieces) + b"\r\n--b--\r\n"),
    sizes=st.lists(st.integers(1, 40), max_size=12),
)
def test_where_the_network_cuts_makes_no_difference(content: bytes, sizes: list[int]) -> None:
    whole = outcome(content, [])
    assert outcome(content, sizes) == whole
    assert outcome(content, [1] * len(content)) == whole


@settings(max_examples=settings().max_examples * 3 // 2)
@given(
    caption=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    song=st.lists(
        st.sampled_from([b"\r", b"\n", b"-", b"b", b"--b", b"\r\n--", b"\xff", b"\r\n--bb"]),
        max_size=30,
    )
    .map(lambda pieces: b"\xff" + b"".join(pieces))
    .filter(lambda song: not re.search(rb"[\r\n]--b-b", song)),  # no client picks such a boundary
    cuts=st.lists(st.integers(1, 20), max_size=20),
)
def test_what_was_put_in_comes_out(caption: str, song: bytes, cuts: list[int]) -> None:
    """Bytes that are nearly a boundary, cut anywhere, are not changed."""
    boundary = b"b-b"
    body = (named('name="caption"', caption.encode()) + named('name="src_audio"', song)).replace(
        b"--b\r\nContent", b"--b-b\r\nContent"
    )
    with TemporaryDirectory() as folder:
        media = Media("multipart/form-data", "multipart", "", boundary)
        form = asyncio.run(read(body + b"--b-b--", cuts, Path(folder), media))
        assert form.fields == {"caption": caption.removeprefix("\ufeff")}
        assert form.files["src_audio"].path.read_bytes() == song


async def endless(start: bytes, chunk: bytes, taken: list[int]) -> AsyncIterator[bytes]:
    """50 MB after ``start``, and a form's end; ``taken`` holds how many bytes were requested."""
    yield start
    for _ in range(50_000_000 // len(chunk)):
        taken[0] += len(chunk)
        yield chunk
    yield b"\r\n--b--\r\n"


OPEN = b'--b\r\nContent-Disposition: form-data; name="src_audio"; filename="x"\r\n\r\n'


@pytest.mark.parametrize(
    ("start", "chunk", "most"),
    [
        (b"", b"x" * 65_536, 200_000),
        (b"", b"--c\r\n" * 10_000, 200_000),
        (b"--b\r\n", b"X-Header: 1\r\n" * 5000, 200_000),
        (b"--b\r\nContent-Disposition: form-data; name=", b"x" * 65_536, 200_000),
        (b"--b\r\nContent-Disposition: form-data; name=lyrics\r\n\r\n", b"x" * 65_536, 1_200_000),
        (b"", b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n" * 1000, 200_000),
        (b"--b--\r\n", b"x" * 65_536, None),
        (b"--b\r\nContent-Disposition: form-data; name=other\r\n\r\n", b"x" * 65_536, None),
        (OPEN, b"\xff" * 65_536, None),
        (OPEN, b"\r\n--bb" * 10_000, None),
        (OPEN, b"\r\n--" * 16_384, None),
        (OPEN, b"\r" * 65_536, None),
        (OPEN, b"\xff" * 8_000_000, None),
    ],
)
async def test_memory_stays_small(
    tmp_path: Path, start: bytes, chunk: bytes, most: int | None
) -> None:
    """Whatever part of a form does not end: it is refused soon, or needs no memory to read."""
    taken = [0]
    stream = endless(start, chunk, taken)
    tracemalloc.start()
    try:
        await read_multipart(stream, read_media(TYPE), Limits(), tmp_path)
        assert most is None
    except Problem as problem:
        assert problem.status in (400, 413)
        assert most is not None and taken[0] <= most, problem.detail
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < len(chunk) + 10_000_000
