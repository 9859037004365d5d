"""What captions request."""

import pytest

from acestep_ray.decoder.mock.style import Style, read_style
from acestep_ray.decoder.mock.theory import Key
from acestep_ray.decoder.mock.voices import TIMBRES


def style(caption: str, seed: int = 1) -> Style:
    return read_style(caption, seed, None, "", "")


@pytest.mark.parametrize(
    ("caption", "low", "high"),
    [
        ("slow ballad", 60, 76),
        ("fast DnB", 168, 178),
        ("Drum and Bass banger", 168, 178),
        ("house music", 120, 132),
        ("lo-fi hip-hop beats", 76, 94),
        ("heavy metal", 154, 178),
        ("a 97 bpm tune", 97, 97),
        ("999 bpm", 60, 168),
        ("", 60, 168),
    ],
)
def test_words_set_the_tempo(caption: str, low: int, high: int) -> None:
    assert low <= style(caption).bpm <= high
    assert style(caption, 1).bpm == style(caption, 2).bpm, "the tempo is the caption's alone"


def test_what_is_given_wins() -> None:
    asked = read_style("a 97 bpm waltz in A minor", 1, 140, "Eb major", "6")
    assert (asked.bpm, asked.key, asked.meter) == (140, Key(3, False), 6)
    with pytest.raises(ValueError, match="H major"):
        read_style("", 1, None, "H major", "")


def test_the_caption_names_key_and_metre() -> None:
    assert style("a waltz").meter == 3
    assert style("folk in 6/8").meter == 6
    assert style("march 2/4").meter == 2
    assert style("song in F# minor").key == Key(6, True)
    assert all(style("sad song", seed).key.minor for seed in range(20))
    assert not any(style("cheerful song", seed).key.minor for seed in range(20))


def test_the_caption_names_instruments() -> None:
    for word, voice in (("piano", "piano"), ("Rhodes", "epiano"), ("acoustic guitar", "guitar")):
        assert {style(f"pop with {word}", seed).chords for seed in range(10)} == {voice}
    assert {style("jazz with a saxophone", seed).lead for seed in range(10)} == {"brass"}
    assert style("rock song, no drums").feel == "none"
    assert style("pop with male vocals").deep_voice
    assert not any(style("female vocals", seed).deep_voice for seed in range(20))


def test_words_are_whole_words() -> None:
    assert style("therapy session").feel == style("something else").feel == "straight"


def test_every_style_is_playable() -> None:
    captions = ("pop", "ambient", "jazz", "techno", "metal", "rock", "reggae", "funk", "classical",
                "folk", "synthwave", "waltz", "trap", "dnb", "flute and strings", "花")  # fmt: skip
    for caption in captions:
        for seed in range(8):
            asked = style(caption, seed)
            for voice in (asked.chords, asked.lead, asked.bass):
                assert voice in TIMBRES
            assert asked.pad in TIMBRES or asked.pad == "none"
            assert 30 <= asked.bpm <= 300


def test_seeds_choose_where_the_caption_does_not() -> None:
    assert len({style("a song", seed).key for seed in range(30)}) > 8
    assert len({style("a song", seed).chords for seed in range(30)}) > 1
