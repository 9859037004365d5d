"""The texts that the model reads, and the warnings if they are cut."""

from typing import Any

import pytest

from acestep_ray.decoder.diffusers.prompt import Prompt, task_instruction
from tests.models.decoder.diffusers.tiny import Tiny, request, source


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "Fill the audio semantic mask based on the given conditions:"),
        ({"codes": ((1,),)}, "Generate audio semantic tokens based on the given conditions:"),
        ({"task": "cover"}, "Generate audio semantic tokens based on the given conditions:"),
        ({"task": "repaint"}, "Repaint the mask area based on the given conditions:"),
        ({"task": "extract", "track_name": "vocals"}, "Extract the VOCALS track from the audio:"),
        ({"task": "extract"}, "Extract the track from the audio:"),
        (
            {"task": "lego", "track_name": "drums"},
            "Generate the DRUMS track based on the audio context:",
        ),
        ({"task": "lego"}, "Generate the track based on the audio context:"),
        (
            {"task": "complete", "track_classes": ("bass", "backing_vocals")},
            "Complete the input track with BASS | BACKING_VOCALS:",
        ),
        ({"task": "complete"}, "Complete the input track:"),
        ({"task": "cover", "instruction": "Sing it low:"}, "Sing it low:"),
        ({"task": "cover", "codes": ((1,),), "instruction": "Sing it low:"}, "Sing it low:"),
        # With codes, a new song is a cover, whatever the instruction is.
        (
            {"codes": ((1,),), "instruction": "Sing it low:"},
            "Generate audio semantic tokens based on the given conditions:",
        ),
    ],
)
def test_instructions(values: dict[str, Any], expected: str) -> None:
    assert task_instruction(request(**values)) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "Fill the mask based on the given conditions:",
        "Fill the audio semantic mask based on the given conditions:",
        "Generate audio semantic tokens based on the given conditions:",
        "  Fill the audio semantic mask\nbased on the given conditions:\r\n",
        "fill the mask based on the given conditions",
        "Fill the mask based on the given conditions :",
        " \n",
    ],
)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"codes": ((1,),)},
        {"task": "cover"},
        {"task": "cover", "codes": ((1,),)},
        {"task": "repaint"},
        {"task": "lego", "track_name": "drums"},
        {"task": "extract", "track_name": "vocals"},
        {"task": "complete", "track_classes": ("bass",)},
    ],
)
def test_the_default_sentences_mean_that_no_instruction_is_given(
    values: dict[str, Any], sentence: str
) -> None:
    """Clients send them with every task, as the default of their field."""
    asked = request(**values, instruction=sentence)
    assert task_instruction(asked) == task_instruction(request(**values))


def test_an_instruction_ends_with_one_colon(turbo: Tiny) -> None:
    for given in ("Sing it low", " Sing it low:\n", "Sing it low: "):
        asked = request(task="cover", instruction=given)
        text, _ = Prompt.of(asked, task_instruction(asked), 10.0).texts(turbo.pipeline)
        assert text.startswith("# Instruction\nSing it low:\n\n# Caption")


def test_the_texts(turbo: Tiny) -> None:
    asked = request(lyrics="la la", caption="a {tune} with 100 % braces")
    text, lyrics = Prompt.of(asked, "Do this", 16.88).texts(turbo.pipeline)
    assert text == (
        "# Instruction\nDo this:\n\n# Caption\na {tune} with 100 % braces\n\n# Metas\n"
        "- bpm: 92\n- timesignature: 3\n- keyscale: F# minor\n- duration: 16 seconds\n"
        "<|endoftext|>\n"
    )
    assert lyrics == "# Languages\nen\n\n# Lyric\nla la<|endoftext|>"


def test_what_is_not_known_is_not_available(turbo: Tiny) -> None:
    asked = request(bpm=None, key_scale="", time_signature="")
    text, _ = Prompt.of(asked, "Do this:", 10.0).texts(turbo.pipeline)
    assert "- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: 10 seconds" in text


def test_a_caption_that_is_a_whole_prompt_is_unwrapped(turbo: Tiny) -> None:
    inner = "slow blues"
    wrapped = f"# Instruction\nFill:\n\n# Caption\n{inner}\n\n# Metas\n- bpm: 60\n<|endoftext|>\n"
    assert Prompt.of(request(caption=wrapped), "Do this:", 10.0).caption == inner
    plain = "# Caption of a song"
    assert Prompt.of(request(caption=plain), "Do this:", 10.0).caption == plain


def cuts(tiny: Tiny, **values: Any) -> tuple[str, ...]:
    asked = request(**values)
    return Prompt.of(asked, task_instruction(asked), 10.0).cuts(tiny.pipeline)


def test_short_texts_are_not_cut(turbo: Tiny) -> None:
    assert cuts(turbo) == ()
    assert cuts(turbo, caption="", lyrics="") == ()


def test_the_longest_caption_that_is_read(turbo: Tiny) -> None:
    """One word is one token here; the model's limit is first reached within the metadata."""
    fits = next(n for n in range(300, 0, -1) if not cuts(turbo, caption="drum" + " drum" * (n - 1)))
    tokens = turbo.pipeline.tokenizer(
        Prompt.of(
            request(caption="drum" + " drum" * (fits - 1)), task_instruction(request()), 10.0
        ).texts(turbo.pipeline)[0]
    )["input_ids"]
    # The end marks and a newline may be cut: they are not part of the client's text.
    assert 256 <= len(tokens) <= 256 + 3
    (warning,) = cuts(turbo, caption="drum" + " drum" * fits)
    assert "does not read all of what follows it: " in warning
    assert "seconds" in warning
    (warning,) = cuts(turbo, caption="drum" + " drum" * (fits + 12))
    assert "keyscale: F# minor, duration: 10 seconds" in warning


def test_where_a_caption_is_cut(turbo: Tiny) -> None:
    (warning,) = cuts(turbo, caption=" ".join(["drum"] * 299 + ["END"]))
    assert "256 tokens" in warning
    assert 'of 300 ("…' in warning
    word = int(warning.split("up to word ")[1].split(" ")[0])
    # As many as fit beside the instruction and headings.
    assert 225 < word < 250
    assert 'drum")' in warning


def test_where_lyrics_are_cut(turbo: Tiny) -> None:
    words = [f"word{n}" for n in range(1500)]
    (warning,) = cuts(turbo, lyrics="\n".join(words))
    word = int(warning.split("up to word ")[1].split(" ")[0])
    assert f"of {len(words)}" in warning
    assert words[word - 1][:4] in warning
    assert 400 < word < 1500
    sung = " ".join(words[: word - 1])
    assert len(turbo.pipeline.tokenizer(sung)["input_ids"]) <= 2048


def test_lyrics_without_spaces_and_outside_ascii(turbo: Tiny) -> None:
    (warning,) = cuts(turbo, lyrics="夜" * 4000, vocal_language="zh")
    assert "2048 tokens" in warning
    assert "夜" in warning


def test_both_are_told_once_with_the_takes(turbo: Tiny) -> None:
    asked = request(
        task="cover", cover_strength=0.5, caption="drum " * 400, lyrics="la " * 4000, seeds=(1, 2)
    )
    for take in turbo.takes(asked, source(100_000)):
        assert len(take.warnings) == 2
        assert take.warnings[0].startswith("The caption is too long")
        assert take.warnings[1].startswith("The lyrics are too long")
