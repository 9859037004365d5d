"""What ends a command before the service has answered: a script reads why on stdout."""

import json

import pytest

from acestep_ray.cli import main
from acestep_ray.cli.refusals import refusals_as_documents, wants_json


def test_a_word_after_the_options_is_not_an_option() -> None:
    assert wants_json(["generate", "x", "--json"])
    assert not wants_json(["generate", "--", "--json"])
    assert not wants_json(["generate", "--json-lines"])


def test_ctrl_c_before_there_is_a_job_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), refusals_as_documents(wanted=True):
        raise KeyboardInterrupt
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], document["exit_status"]) == ("interrupted", 130)


def test_a_configuration_that_is_wrong_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "none.yaml", "--json"]) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["code"], document["exit_status"]) == ("invalid_configuration", 2)
    assert "none.yaml" in document["error"] and "none.yaml" in printed.err


@pytest.mark.parametrize(
    "words", [["--tkaes"], ["doctor", "--port", "x"], ["jobs", "--limit", "0"]]
)
def test_without_the_option_stdout_is_empty(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().out == ""
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["option"] in words


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["jobs", "--status", "foo"],
            "'--status': 'foo' is not one of 'queued', 'running', 'succeeded', 'failed'.",
        ),
        (
            ["generate", "x", "--bpm", "1e3"],
            "'--bpm': '1e3' is not a whole number. Beats per minute, 30 to 300.",
        ),
        (
            ["generate", "x", "--steps", "1.5"],
            "'--steps': '1.5' is not a whole number. Diffusion steps, 1 to",
        ),
        (["generate", "x", "--duration", "long"], "'--duration': 'long' is not a number."),
        (["jobs", "--limit", "0"], "'--limit': 0 must be at least 1. How many, at most."),
        (["batch", __file__, "-o", "x", "--in-flight", "91"], "91 must be at most 90."),
        (["batch", "none", "-o", "x"], "'SONGS': file 'none' does not exist."),
    ],
)
def test_a_wrong_value_is_named_in_plain_words_with_the_legal_ones(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 2
    printed = capsys.readouterr()
    assert sentence in json.loads(printed.out)["error"]
    for text in (printed.out, printed.err):
        assert "Input should be" not in text and "Value error" not in text


def test_help_is_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "--json", "--help"]) == 0
    assert capsys.readouterr().out.lstrip().startswith("Usage: ")
