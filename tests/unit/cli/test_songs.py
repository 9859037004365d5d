"""generate, repaint, cover: what a person enters is what the service makes."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.unit.cli.commands import CommandLine


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a tone."""
    file = tmp_path_factory.mktemp("song") / "song.wav"
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(6 * 48_000) / 48_000)
    soundfile.write(file, np.stack([tone, tone], 1), 48_000, subtype="PCM_16")
    return file


def test_a_song_is_in_the_folder_and_its_files_are_on_stdout(cli: CommandLine) -> None:
    lyrics = cli.folder / "song.txt"
    lyrics.write_text("[Verse]\nHéllo 世界\n")
    options = ("--lyrics", lyrics, "--lm", "--duration", 10, "--seed", "7,8", "--format", "wav")
    more = ("--bpm", 90, "--key", "Am", "--names", "{seed}.{ext}", "-o", cli.folder / "a" / "b")
    done = cli.run("generate", "upbeat pop", *options, *more)
    assert done.exit_code == 0, done.output
    files = [cli.folder / "a" / "b" / f"{seed}.wav" for seed in (7, 8)]
    assert done.stdout.splitlines() == [str(file) for file in files]
    assert all(soundfile.info(file).duration == pytest.approx(10, abs=0.1) for file in files)
    job_id = done.stderr.splitlines()[0].removeprefix("acestep-ray: job ")
    shown = cli.run("show", job_id).stdout
    for words in ("task       text2music", "caption    upbeat pop", "takes      2"):
        assert words in shown
    for words in (
        "length     10 s",
        "state      succeeded",
        "seeds      7,8",
        "90 bpm",
        "A minor",
        f"{job_id}/2.wav",
    ):
        assert words in shown


def test_progress_is_plain_lines_where_nobody_watches(cli: CommandLine) -> None:
    done = cli.run("generate", "pop", "--duration", 2, "--takes", 1, "-o", cli.folder)
    lines = done.stderr.splitlines()
    assert all(line.startswith("acestep-ray: ") for line in lines)
    assert lines[0].startswith("acestep-ray: job ") and lines[-1] == "acestep-ray: succeeded"
    assert "\x1b" not in done.output


def test_a_script_gets_one_document(cli: CommandLine) -> None:
    made = cli.document("generate", "pop", "--duration", 2, "--takes", 1, "-o", cli.folder)
    assert made["status"] == "succeeded" and made["result"]["seed_value"]
    (file,) = made["files"]
    assert Path(file).name == f"{made['job_id']}-1.mp3" and Path(file).stat().st_size > 10_000
    assert cli.document("show", made["job_id"])["result"] == made["result"]


def test_every_other_field_can_be_set(cli: CommandLine) -> None:
    fields = ("seed=[5,6]", "use_random_seed=false", 'metas={"bpm": 77}', "use_5hz_lm=true")
    words = [word for field in fields for word in ("--set", field)]
    made = cli.document("generate", "pop", "--duration", 10, *words, "-o", cli.folder)
    assert made["result"]["seed_value"] == "5,6" and made["result"]["bpm"] == 77


def test_the_times_of_the_lyrics_come_with_the_song(cli: CommandLine) -> None:
    words = ("--lyrics-text", "[Verse]\nla la", "--duration", 5, "--takes", 1, "--lrc")
    made = cli.document("generate", "pop", *words, "-o", cli.folder)
    (lrc,) = made["result"]["lrc"]
    assert lrc.splitlines()[-1].startswith("[00:0") and lrc.splitlines()[-1].endswith("]la la")


def test_what_is_not_used_is_shown(cli: CommandLine) -> None:
    done = cli.run("generate", "pop", "--guidance", 3, "--no-wait")
    assert "acestep-ray: warning: Not used by mock, a turbo model: guidance_scale." in done.stderr


def test_lyrics_come_from_stdin(cli: CommandLine) -> None:
    words = ("generate", "--lyrics", "-", "--duration", 2, "--no-wait")
    assert cli.run(*words, stdin="[Verse]\nla la").exit_code == 0
    refused = cli.run(*words, stdin=b"\xff\xfe")
    assert refused.exit_code == 2 and "is not UTF-8 text" in refused.stderr


def test_a_description_is_enough(cli: CommandLine) -> None:
    words = ("--describe", "a sad song about rain", "--lm", "--duration", 10, "--takes", 1)
    made = cli.document("generate", *words, "-o", cli.folder)
    assert made["result"]["lm_caption"] and made["result"]["lm_lyrics"]


@pytest.mark.parametrize("by_job", [False, True])
def test_repaint_changes_the_window_and_nothing_else(
    cli: CommandLine, song: Path, by_job: bool
) -> None:
    source, original = str(song), song
    wav = ("--format", "wav", "-o", cli.folder)
    if by_job:
        first = cli.document("generate", "pop", "--duration", 6, "--takes", 2, *wav)
        source, original = f"{first['job_id']}/2", Path(first["files"][1])
    window = ("--start", 2, "--end", 4, "--takes", 1)
    made = cli.document("repaint", source, "guitar", *window, *wav)
    before, after = (soundfile.read(file)[0] for file in (original, made["files"][0]))
    assert before.shape == after.shape
    same = np.all(np.abs(before - after) < 1e-4, axis=1)
    assert same[: 2 * 48_000 - 4800].all() and same[4 * 48_000 + 4800 :].all()
    assert not same[2 * 48_000 : 4 * 48_000].all()


def test_cover_takes_a_file_and_a_reference(cli: CommandLine, song: Path) -> None:
    words = ("--strength", 0.5, "--reference", song, "--takes", 1, "--no-wait")
    made = cli.document("cover", song, "jazz trio", *words)
    (listed, *_) = cli.document("jobs", "--limit", 1)
    assert listed["job_id"] == made["job_id"]
    assert (listed["task_type"], listed["caption"]) == ("cover", "jazz trio")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("generate", "x", "--bpm", 5), "--bpm must be a whole number from 30 to 300"),
        (
            ("generate", "x", "--duration", 0.1),
            "--duration must be a number of seconds from 1 to 600 (with --lm from 10)",
        ),
        (("generate", "x", "--key", "H"), "--key must be"),
        (("generate", "x", "--takes", 9), "--takes must be"),
        (("generate", "x", "--scores"), "--scores"),
        (("generate", "x", "--guidance-variant", "y"), "--guidance-variant must be apg_classic, "),
        (("generate", "x", "--format", "wma"), "--format must be"),
        (("generate", "x", "--set", "shift=9"), "--set shift must be a number from 1 to 5"),
        (("generate", "x" * 4001), "CAPTION must be"),
        (("repaint", "FILE", "--start", 5, "--end", 1), "--end (1) must lie after --start (5)"),
        (("cover", "TEXT", "x"), "SOURCE"),
        (("repaint", "550e8400-e29b-41d4-a716-446655440000"), "SOURCE"),
    ],
)
def test_a_refusal_names_the_option(
    cli: CommandLine, song: Path, words: tuple[Any, ...], sentence: str
) -> None:
    text = cli.folder / "text.wav"
    text.write_text("This is no audio.")
    files = {"FILE": song, "TEXT": text}
    done = cli.run(*(files.get(word, word) for word in words), "-o", cli.folder / "out")
    assert done.exit_code == 2, done.output
    assert f"acestep-ray: {sentence}" in done.stderr
    assert not list((cli.folder / "out").iterdir())


@pytest.mark.parametrize("take", [0, 2, 9, 10])
def test_a_take_that_a_job_lacks_is_refused_with_how_many_it_has(
    cli: CommandLine, take: int
) -> None:
    made = cli.document("generate", "x", "--duration", 2, "--takes", 1, "-o", cli.folder)
    for words, option in (
        (("cover", f"{made['job_id']}/{take}", "x"), "SOURCE"),
        (("generate", "x", "--reference", f"{made['job_id']}/{take}"), "--reference"),
    ):
        done = cli.run(*words, "-o", cli.folder)
        assert done.exit_code == 2 and done.stderr.startswith(f"acestep-ray: {option} ")
        assert "The job has 1 take" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("generate", "x", "--bpm", "fast"), "'--bpm'"),
        (("generate", "x", "--set", "bmp=90"), "bmp is not a field of the API. Is it bpm?"),
        (("generate", "x", "--set", "bpm"), "bpm is not FIELD=VALUE"),
        (("generate", "x", "--bpm", 90, "--set", "bpm=91"), "bpm is set twice, by --bpm and"),
        (("generate", "x", "--set", "src_audio=none.wav"), "none.wav is not a file"),
        (("generate", "--lyrics", "none.txt"), "none.txt"),
        (("generate", "--lyrics", __file__, "--lyrics-text", "la"), "only one of --lyrics and"),
        (("generate", "x", "--reference", "none.wav"), "none.wav is neither a file nor a take"),
        (("generate", "x", "--names", "{id}"), "only {job_id}, {take}, {seed} and {ext}"),
        (("generate", "x", "--names", "a/{take}.mp3"), "is not the name of a file"),
        (("generate", "x", "--names", "fixed.mp3"), "one name for several takes: add {take} to it"),
        (("generate", "x", "--takes", 2, "--names", "{job_id}"), "one name for several takes"),
        (("generate", "x", "--names", ""), "'' is not the name of a file"),
        (("generate", "x", "--names", "{take}" + "x" * 300), "File name too long"),
        (("generate", "x", "--seed", "7,7", "--names", "{seed}"), "one name for several takes"),
        (("cover", __file__, "null"), "caption cannot be 'null' in a request that has a file"),
        (("generate", "x", "-o", __file__), "is a file"),
        (("generate", "x", "-o", f"{__file__}/out"), "Not a directory"),
        (("generate", "x", "--url", "ftp://host"), "--url must begin with http:// or https://"),
        (("cover", "none.wav", "x"), "none.wav is neither a file nor a take of a job"),
        (
            ("generate", "x", "--set", 'metas={"bpm": 90, "bpm": 91}'),
            "metas: the key bpm is there twi",
        ),
        (("generate", "x", "--describe", "y"), "--describe and CAPTION exclude each other"),
        (
            ("generate", "x", "--lyrics-text", "la", "--describe", "y"),
            "--describe and CAPTION and the lyrics exclude each other",
        ),
        (("generate",), "nothing says what to make: give CAPTION, --lyrics or --describe"),
        (("generate", " ", "--duration", 20, "--lm"), "nothing says what to make"),
        (("geenrate", "x"), "No such command"),
    ],
)
def test_wrong_usage_sends_nothing(cli: CommandLine, words: tuple[Any, ...], sentence: str) -> None:
    done = cli.run(*words, url="http://127.0.0.1:9")
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("words", "option", "field"),
    [
        (("generate", "x", "--bpm", "fast"), "--bpm", "bpm"),
        (("generate", "x", "-o", __file__), "--output", None),
        (("generate", "x", "--set", "bmp=90"), "--set", None),
        (("generate", "x", "--reference", "none.wav"), "--reference", "reference_audio"),
        (("generate", "x", "--names", "{id}"), "--names", None),
        (("generate", "x", "--tkaes", 2), "--tkaes", None),
        (("repaint",), "SOURCE", "src_audio"),
        (("generate", "x", "--url", "ftp://host"), None, None),
        (("geenrate", "x"), None, None),
        (("batch", "none.jsonl", "-o", "out"), "SONGS", None),
        (("jobs", "--status", "tired"), "--status", None),
    ],
)
def test_a_script_gets_a_document_for_wrong_usage(
    cli: CommandLine, words: tuple[Any, ...], option: str | None, field: str | None
) -> None:
    document = cli.document(*words, status=2)
    assert (document["code"], document["exit_status"]) == ("invalid_usage", 2)
    assert document["error"] and document["http_status"] is None
    assert [(one["option"], one["field"]) for one in document["errors"]] == (
        [(option, field)] if option else []
    )


def test_a_folder_that_cannot_be_written_does_not_lose_the_song(cli: CommandLine) -> None:
    """As if the disk was full: what is in the way of a file is a folder."""
    (cli.folder / "1.mp3").mkdir()
    one = ("--duration", 2, "--takes", 1, "--names", "{take}.mp3")
    words = (*one, "--overwrite", "-o", cli.folder)
    done = cli.run("generate", "pop", *words)
    assert done.exit_code == 1 and "Is a directory" in done.stderr
    document = cli.document("generate", "pop", *words, status=1)
    assert document["code"] == "download_failed" and "Is a directory" in document["error"]
    command = done.stderr.splitlines()[-1].partition("its takes: acestep-ray ")[2]
    shutil.rmtree(cli.folder / "1.mp3")
    again = cli.run(*shlex.split(command))
    assert again.exit_code == 0 and Path(again.stdout.strip()).stat().st_size > 10_000


@pytest.mark.parametrize(
    "words",
    [
        ("--names", "my song.mp3", "--takes", 1),
        ("--names", "my song{seed}.{ext}", "--seed", "7,8", "--format", "aac"),
        ("--names", "{take}.{ext}", "--format", "wav32"),
    ],
)
def test_a_file_of_the_user_is_not_lost(cli: CommandLine, words: tuple[Any, ...]) -> None:
    """Nothing is sent: the song would have no place."""
    mine = [cli.folder / name for name in ("my song.mp3", "my song8.m4a", "2.wav")]
    for file in mine:
        file.write_text("mine")
    done = cli.run("generate", "x", *words, "-o", cli.folder, url="http://127.0.0.1:9")
    assert done.exit_code == 2
    assert "exists. --overwrite replaces it." in " ".join(done.stderr.replace("│", " ").split())
    assert [file.read_text() for file in mine] == ["mine"] * 3


def test_a_file_that_came_in_the_meantime_is_not_lost_either(cli: CommandLine) -> None:
    made = cli.run("generate", "x", "--duration", 2, "--takes", 1, "--no-wait").stdout.strip()
    mine = cli.folder / "a song.mp3"
    mine.write_text("mine")
    words = ("download", made, "--names", "a song.mp3", "-o", cli.folder)
    refused = cli.run(*words)
    assert refused.exit_code == 1 and f"{mine} exists, and is another file" in refused.stderr
    assert mine.read_text() == "mine"
    command = refused.stderr.strip().partition("by its take: acestep-ray ")[2]
    assert cli.run(*shlex.split(command)).exit_code == 0, "the command that is shown replaces it"
    assert mine.stat().st_size > 10_000
    assert cli.run(*words).exit_code == 0, "it is the same take"


@pytest.mark.parametrize(
    ("names", "file"), [("n", "n.wav"), ("v1.5", "v1.5.wav"), ("{seed}", "7.wav"), ("n.x", "n.x")]
)
def test_a_name_without_an_extension_gets_the_one_of_the_format(
    cli: CommandLine, names: str, file: str
) -> None:
    one = ("--duration", 2, "--takes", 1, "--seed", 7, "--format", "wav")
    words = ("generate", "x", *one, "--names", names, "-o", cli.folder)
    done = cli.run(*words)
    assert done.stdout.splitlines() == [str(cli.folder / file)], done.output
    refused = cli.run(*words, url="http://127.0.0.1:9")
    assert refused.exit_code == 2 and "exists. --overwrite" in refused.stderr, "it has that name"


def test_takes_that_would_have_one_name_are_not_waited_for(slow_cli: CommandLine) -> None:
    job_id = slow_cli.run("generate", "x", "--takes", 2, "--no-wait").stdout.strip()
    done = slow_cli.run("download", job_id, "--names", "fixed.mp3", "-o", slow_cli.folder)
    assert done.exit_code == 2 and "one name for several takes" in done.stderr
    slow_cli.run("cancel", job_id)
