"""Which lines are the same song, and which are refused before anything is made."""

import json
from pathlib import Path

import pytest

from acestep_ray.cli.batch.lines import LinesRefused, read_lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.wav").write_bytes(b"one")
    return tmp_path / "songs.jsonl"


def keys(file: Path, *songs: object) -> list[str]:
    file.write_text("\n".join(json.dumps(song) for song in songs))
    return [line.key for line in read_lines(file)]


def test_a_song_keeps_its_key_where_lines_are_moved_and_added(file: Path) -> None:
    one, two, three = ({"caption": name, "bpm": 90} for name in ("one", "two", "three"))
    first = keys(file, one, two)
    assert keys(file, three, two, one)[:0:-1] == first
    assert keys(file, {"bpm": 90, "caption": "one", "lyrics": None})[0] == first[0]
    assert keys(file, {**one, "bpm": 91})[0] != first[0]


def test_equal_lines_are_as_many_songs(file: Path) -> None:
    song = {"caption": "one"}
    found = keys(file, song, {"caption": "two"}, song, song)
    assert len(set(found)) == 4
    assert keys(file, song, song)[1] == found[2]


def test_audio_counts_by_what_is_in_the_file(file: Path, tmp_path: Path) -> None:
    first = keys(file, {"src_audio": "a.wav"})
    (tmp_path / "b.wav").write_bytes(b"one")
    assert keys(file, {"src_audio": "b.wav"}) == first
    (tmp_path / "b.wav").write_bytes(b"two")
    assert keys(file, {"src_audio": "b.wav"}) != first
    assert read_lines(file)[0].fields["src_audio"] == tmp_path / "b.wav"


def test_empty_lines_count_for_the_numbers_only(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"caption": "Pop, upbeat!"}\r\n\r\n  \n{"lyrics": "x"}\n')
    assert [(line.number, line.name) for line in read_lines(file)] == [
        (1, "0001-pop-upbeat"),
        (4, "0004"),
    ]


@pytest.mark.parametrize(
    ("song", "name"),
    [
        ({"caption": "../../etc/passwd"}, "0001-etc-passwd"),
        ({"caption": "雨の歌 🎵"}, "0001-雨の歌"),
        ({"caption": "{job_id}"}, "0001-job-id"),
        ({"sample_query": "A song " + "x" * 60}, "0001-a-song-" + "x" * 33),
        ({"caption": "🎵"}, "0001"),
    ],
)
def test_a_name_is_the_name_of_a_file(file: Path, song: object, name: str) -> None:
    file.write_text(json.dumps(song))
    assert read_lines(file)[0].name == name


def test_all_mistakes_are_named_with_their_lines(file: Path) -> None:
    file.write_text('{"caption": \n[1]\n{"captoin": "x"}\n{"src_audio": "b.wav"}\n{"caption": "x"}')
    with pytest.raises(LinesRefused) as refused:
        read_lines(file)
    one, two, three, four = refused.value.mistakes
    assert one.startswith("Line 1: it is not JSON: ")
    assert two == "Line 2: it is not a JSON object."
    assert three == "Line 3: captoin is not a field of the API. Is it caption?"
    assert four == f"Line 4: src_audio: there is no file {file.parent / 'b.wav'}."


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ('{"caption": "x", "bpm": 90, "caption": "y"}', "the key caption is there twice."),
        ('{"caption": "x", "metas": {"bpm": 90, "bpm": 91}}', "the key bpm is there twice."),
        ('{"caption": "x", "shift": NaN}', "NaN is not a number."),
    ],
)
def test_nothing_of_a_line_is_dropped_silently(file: Path, line: str, mistake: str) -> None:
    file.write_text(f'{{"caption": "x"}}\n{line}\n')
    with pytest.raises(LinesRefused) as refused:
        read_lines(file)
    assert refused.value.mistakes == [f"Line 2: {mistake}"]


@pytest.mark.parametrize("line", ["{}", '{"caption": " ", "bpm": 90}', '{"lyrics": null}'])
def test_a_line_of_nothing_is_refused_before_it_becomes_any_song(file: Path, line: str) -> None:
    file.write_text(f'{{"src_audio": "a.wav"}}\n{line}\n')
    with pytest.raises(LinesRefused) as refused:
        read_lines(file)
    (mistake,) = refused.value.mistakes
    assert mistake.startswith("Line 2: nothing says what to make: it needs a caption, lyrics")


def test_a_wrong_file_is_no_screen_of_errors(file: Path) -> None:
    file.write_text("x\n" * 1000)
    with pytest.raises(LinesRefused) as refused:
        read_lines(file)
    assert len(refused.value.mistakes) == 11 and refused.value.mistakes[-1] == "And 990 more."
