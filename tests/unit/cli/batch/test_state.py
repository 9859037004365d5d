"""What a batch knows survives its death at any moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from acestep_ray.cli.batch.lines import Line
from acestep_ray.cli.batch.state import FILE, SongStatus, StateRefused, opened, remove_parts

LINES = [Line(number, f"{number:04}-x", f"key{number}-0", {}) for number in range(1, 4)]


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as state:
        song = state.ask(state.of(LINES[0]))
        made = replace(song, status=SongStatus.MADE, job_id="j", files=("a", "b"), warnings=("w",))
        state.save(made)
        key = state.idempotency_key(state.of(LINES[1]))
    with opened(tmp_path / "out") as state:
        assert state.of(LINES[0]) == made and made.asked_at
        assert state.idempotency_key(state.of(LINES[1])) == key, "the same request"
        assert state.idempotency_key(state.of(LINES[1]).again()) != key, "another request"
    with opened(tmp_path / "other") as state:
        assert state.idempotency_key(state.of(LINES[1])) != key, "another batch"


def test_takes_of_another_batch_are_not_replaced(tmp_path: Path) -> None:
    """Such as after batch-state.jsonl was removed: all is made again, beside what is there."""
    for name in ("0001-x-1.wav", "0002-x-key2-0-1.mp3", "0002-x-1.mp3", "0003-x.txt"):
        (tmp_path / name).touch()
    with opened(tmp_path) as state:
        names = [state.save(state.of(line)).name for line in LINES]
    assert names == ["0001-x-key1-0", "0002-x-key2-0-2", "0003-x"]
    (tmp_path / "0003-x-1.wav").touch()
    with opened(tmp_path) as state:
        assert [state.of(line).name for line in LINES] == names, "its own takes are its own"


def test_whatever_was_torn_off_the_end_is_not_missed(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.save(replace(state.of(LINES[0]), job_id="first"))
        state.save(replace(state.of(LINES[0]), job_id="second"))
    whole = (tmp_path / FILE).read_bytes()
    second = whole.rindex(b"\n", 0, -1) + 1
    for length in range(second, len(whole) + 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        with opened(tmp_path) as state:
            expected = "second" if length >= len(whole) - 1 else "first"
            assert state.of(LINES[0]).job_id == expected
            state.save(replace(state.of(LINES[1]), job_id="third"))
        with opened(tmp_path) as state:
            assert [state.of(line).job_id for line in LINES] == [expected, "third", None]


def test_it_does_not_grow_with_every_run(tmp_path: Path) -> None:
    for _ in range(20):
        with opened(tmp_path) as state:
            state.ask(state.of(LINES[0]))
    assert len((tmp_path / FILE).read_text().splitlines()) == 3


def test_two_batches_do_not_share_a_folder(tmp_path: Path) -> None:
    with opened(tmp_path):
        refused = pytest.raises(StateRefused, match="another batch is at work in")
        with refused, opened(tmp_path):
            pass
    with opened(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "hello\n", '{"version": 2, "batch": "x"}\n', "[]\n"])
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StateRefused, match="is not the state of a batch"), opened(tmp_path):
        pass
    assert (tmp_path / FILE).read_text() == text


def test_songs_never_share_a_name(tmp_path: Path) -> None:
    """Lines were added before a song that is made."""
    with opened(tmp_path) as state:
        state.save(replace(state.of(LINES[0]), status=SongStatus.MADE))
    other = replace(LINES[1], name=LINES[0].name)
    with opened(tmp_path) as state:
        assert state.of(other).name != state.of(LINES[0]).name == LINES[0].name


def test_only_parts_of_a_batch_are_removed(tmp_path: Path) -> None:
    hexadecimal = "0123456789abcdef" * 2
    names = (f".0012-pop-1.mp3.{hexadecimal}.part", f".mine.{hexadecimal}.part", ".0012-x.part")
    for name in names:
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*names[1:]}
