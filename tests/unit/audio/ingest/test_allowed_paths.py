"""A client names a file on the server: nothing outside the allowed folders may be read or shown."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from acestep_ray.audio.ingest.allowed_paths import OUTSIDE, PathRefused, open_under


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "inputs"
    (root / "sub").mkdir(parents=True)
    (root / "song.wav").write_bytes(b"the song")
    (tmp_path / "inputs-not").mkdir()
    (tmp_path / "inputs-not" / "secret").write_bytes(b"secret")
    return root


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _read(path: str | Path, *roots: Path) -> bytes:
    descriptor = open_under(path, roots)
    try:
        assert not os.get_inheritable(descriptor)
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def _refusal(path: str | Path, *roots: Path) -> str:
    with pytest.raises(PathRefused) as caught:
        os.close(open_under(path, roots))
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_file_under_a_root_is_opened(root: Path) -> None:
    assert _read(str(root / "song.wav"), root) == b"the song"
    assert _read(root / "song.wav", root.parent / "other", root) == b"the song"
    assert _read(f"{root}/sub/../song.wav", root) == b"the song"
    (root / "sub" / "link").symlink_to("../song.wav")
    assert _read(root / "sub" / "link", root) == b"the song"


def test_a_link_from_elsewhere_into_a_root_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert _read(tmp_path / "alias" / "song.wav", root) == b"the song"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/no-such-file-here",
        "/no/such/folder/at/all",
        "/dev/zero",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/",
        "",
        "song.wav",
        "./song.wav",
        "~/song.wav",
        "file:///etc/passwd",
        "{root}/../inputs-not/secret",
        "{root}/../inputs-not/missing",
        "{root}-not/secret",
        "{root}/sub/../../inputs-not/secret",
        "{root}/song.wav\0",
        "/etc/passwd\0{root}/song.wav",
        "{root}/\ud800",
        "{root}/" + "a/" * 3000,
        "/" + "a" * 300,
    ],
)
def test_outside_is_one_answer_whether_it_exists_or_not(path: str, root: Path) -> None:
    assert _refusal(path.replace("{root}", str(root)), root) == OUTSIDE


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc/no-such-file-here", "/dev/zero"])
def test_a_link_out_of_the_root_tells_nothing_either(target: str, root: Path) -> None:
    (root / "link").symlink_to(target)
    (root / "folder").symlink_to(Path(target).parent)
    assert _refusal(root / "link", root) == OUTSIDE
    assert _refusal(root / "folder" / Path(target).name, root) == OUTSIDE


def test_what_is_under_the_root_but_no_file(root: Path) -> None:
    assert _refusal(root / "missing.wav", root) == "There is no such file."
    assert _refusal(root / ("a" * 300), root) == "There is no such file."
    (root / "loop").symlink_to("loop")
    for path in (root, root / "sub", root / "loop"):
        assert _refusal(path, root) == "The path must name a regular file."


def test_pipes_and_sockets_are_refused_without_waiting(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert _refusal(root / "pipe", root) == "The path must name a regular file."
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        assert _refusal(root / "s", root) == "The path must name a regular file."


def test_no_roots_allow_nothing(root: Path) -> None:
    assert _refusal(root / "song.wav") == OUTSIDE


def test_a_folder_swapped_for_a_link_gains_nothing(root: Path, tmp_path: Path) -> None:
    """Between check and opening, an attacker replaces a folder by a link to outside."""
    (root / "real").mkdir()
    (root / "real" / "secret").write_bytes(b"harmless")
    (root / "evil").symlink_to(tmp_path / "inputs-not")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (root / "real").rename(root / "kept")
            (root / "evil").rename(root / "real")
            (root / "real").rename(root / "evil")
            (root / "kept").rename(root / "real")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(_read(root / "real" / "secret", root))
            except PathRefused as refused:
                seen.add(str(refused).encode())
    finally:
        done.set()
        swapping.join()
    assert b"harmless" in seen
    assert b"secret" not in seen
