"""When the lines of a take are sung, and how clearly, against a plain writing of the model."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.lyric_heads import lyric_heads
from acestep_ray.decoder.checkpoints.sizes import FULL_2B, FULL_XL, TINY, TINY_XL, Size
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.lyric_alignment import alignment_score, lrc_text, sung_lines
from acestep_ray.decoder.protocol import DecodeRequest
from tests.models.decoder.checkpoints.plain_dit import velocity, weights_of
from tests.models.decoder.diffusers.plain import numbers
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, alike, noise, request
from tests.models.decoder.diffusers.upstream import TEXT2MUSIC, Side, all_of, encoded, silence

HEADS = {"0": [1], "1": [0, 3]}
LYRICS = "[verse]\nnight falls over the bay\n\n海の上に夜 🌙\nand all the lights go out"
SHARPER = 8.0
"""Random weights look at everything alike: of that nothing stands out."""
END_OF_TEXT = 151643


@pytest.fixture(scope="module", params=[TINY, TINY_XL], ids=["2b", "xl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    size: Size = request.param
    named = dataclasses.replace(size, dit=size.dit | {"lyric_alignment_layers_config": HEADS})
    folder = tmp_path_factory.mktemp("heads")
    return make_tiny_checkpoint(folder, size=named, dtype=torch.float32)


@pytest.fixture(scope="module")
def tiny(model: Path) -> Tiny:
    loaded = load(model.parent, "", str(DEVICE), torch.float32)
    for layer in loaded.pipeline.transformer.layers:
        layer.cross_attn.norm_q.weight.mul_(SHARPER)
    return Tiny.of(loaded)


def attention(
    model: Path, tiny: Tiny, asked: DecodeRequest, take: torch.Tensor, time: float
) -> tuple[Any, list[str]]:
    """[heads, tokens, pairs of frames] to the lyrics, and the texts of the tokens."""
    weights = {
        name: weight * (SHARPER if "cross_attn.q_norm" in name else 1)
        for name, weight in weights_of(model).items()
    }
    config = json.loads((model / "config.json").read_text())
    frames = len(take)
    side = Side(TEXT2MUSIC, all_of(silence(tiny.pipeline, frames)))
    condition = numbers(encoded(tiny.pipeline, asked, side, frames))[0]
    header = f"# Languages\n{asked.vocal_language}\n\n# Lyric\n"
    read = tiny.pipeline.tokenizer
    ids = read(header + asked.lyrics + "<|endoftext|>").input_ids
    rows = slice(len(read(header, add_special_tokens=False).input_ids), ids.index(END_OF_TEXT))
    x = time * numbers(noise((42,), frames))[0] + (1 - time) * numbers(take)
    seen: list[Any] = []
    velocity(weights, config, x, time, condition, numbers(side.context)[0], seen=seen)
    heads = [(int(layer), head) for layer, its in HEADS.items() for head in its]
    texts = [read.decode([one]) for one in ids[rows]]
    return np.stack([seen[layer][head][:, rows].T for layer, head in heads]), texts


@pytest.mark.parametrize("seconds", [6.0, 6.04])
def test_times_and_scores_are_upstreams(model: Path, tiny: Tiny, seconds: float) -> None:
    """Also for an odd number of frames, of which the last is half a pair."""
    asked = request(lyrics=LYRICS, seconds=seconds, steps=3, seeds=(7, 8), lrc=True, scores=True)
    takes, latents = tiny.takes(asked), tiny.latents(asked)
    found = set()
    for take, own in zip(takes, latents, strict=True):
        at_end, texts = attention(model, tiny, asked, own, 1 / 3)
        expected = lrc_text(sung_lines(at_end, texts, seconds)).replace(
            "\N{REPLACEMENT CHARACTER}", ""
        )
        assert take.lrc is not None and take.scores is not None
        ours = [line[:10] for line in take.lrc.splitlines()]
        assert ours == [line[:10] for line in expected.splitlines()]
        assert [line[10:] for line in take.lrc.splitlines()] == LYRICS.replace("\n\n", "\n").split(
            "\n"
        )
        assert take.scores.dit_score == pytest.approx(alignment_score(at_end, texts), abs=1e-4)
        in_noise, _ = attention(model, tiny, asked, own, 1.0)
        assert take.scores.lm_score == pytest.approx(alignment_score(in_noise, texts), abs=1e-4)
        found.add(take.lrc)
    assert len(found) == 2, "the times are those of each take"


def test_they_change_nothing_else(tiny: Tiny) -> None:
    asked = request(lyrics=LYRICS, seconds=6.0)
    plain = tiny.samples(asked)
    told = asked.model_copy(update={"lrc": True, "scores": True})
    assert alike(plain, tiny.samples(told)) and alike(plain, tiny.samples(asked))
    assert tiny.takes(asked)[0].lrc is None and tiny.takes(asked)[0].scores is None


def test_a_take_alone_has_the_times_that_it_has_among_others(tiny: Tiny) -> None:
    """With codes of its own, too, and if the song is so short that it is filled up."""
    codes = ((1, 2, 3, 4) * 4, (900, 50, 7, 8) * 4)
    both = tiny.takes(request(lyrics=LYRICS, seeds=(7, 8), codes=codes, lrc=True))
    alone = tiny.takes(request(lyrics=LYRICS, seeds=(8,), codes=codes[1:], lrc=True))
    assert both[1].lrc == alone[0].lrc is not None
    last = max(line[1:9] for line in alone[0].lrc.splitlines())
    assert last <= "00:03.20"


def test_a_song_without_words_has_neither(tiny: Tiny) -> None:
    (take,) = tiny.takes(request(lyrics="[Instrumental]", seconds=6.0, lrc=True, scores=True))
    assert (take.lrc, take.scores) == (None, None)


def test_the_decoder_says_what_it_knows(tiny: Tiny, turbo: Tiny) -> None:
    known, unknown = tiny.engine.describe(), turbo.engine.describe()
    assert (known.lrc, known.scores) == (True, True)
    assert (unknown.lrc, unknown.scores) == (False, False)


@pytest.mark.parametrize(
    ("size", "named", "layers"),
    [
        (FULL_2B, None, [2, 3, 4, 5, 6]),
        (FULL_XL, None, None),  # upstream would use those of 2B, which are wrong
        (FULL_XL, {"7": [31], "3": [0, 1]}, [3, 7]),
        (FULL_2B, {"3": [16]}, None),
        (FULL_2B, {"24": [0]}, None),
        (FULL_2B, {}, None),
        (FULL_2B, {"layer": "x"}, None),
        (FULL_2B, "heads", None),
    ],
)
def test_which_heads_are_used(size: Size, named: Any, layers: list[int] | None) -> None:
    traits = {} if named is None else {"lyric_alignment_layers_config": named}
    found = lyric_heads(size.dit, traits)
    assert (None if found is None else sorted(found)) == layers
