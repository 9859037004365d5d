"""Plans are legal with any weights, and the user's values come back as they were given."""

import math
import random
import re
from collections.abc import Sequence
from typing import Literal

import pytest
import torch

from acestep_ray.planner.codes import format_code_string, parse_code_string
from acestep_ray.planner.grammar import Given, cot_text, metadata_regex
from acestep_ray.planner.metadata import KEYSCALES, LANGUAGES
from acestep_ray.planner.protocol import Plan, PlannerError, PlanRequest
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.settings import Lm, Lyrics
from acestep_ray.timebase import codes_of_seconds


def request(**fields: object) -> PlanRequest:
    base = {"job_id": "j", "attempt": 1, "caption": "a sad song", "lyrics": "la la la"}
    return PlanRequest.model_validate(base | fields)


def plan(planning: Planning, **fields: object) -> Plan:
    return planning.plan(request(**fields), lambda *_: None)


def legal(found: Plan, wanted: PlanRequest) -> None:
    metadata = found.metadata
    given = Given.of(wanted)
    for name in ("bpm", "duration", "keyscale", "language", "timesignature"):
        assert getattr(given, name) in (None, "", getattr(metadata, name))
    if wanted.duration is not None:
        assert found.seconds == wanted.duration
    assert metadata.duration == int(found.seconds)
    # Written out as YAML, the parsed values match the grammar again.
    text = cot_text(Given.all_of(metadata))
    if not wanted.use_cot_caption:
        assert metadata.caption is None
    if metadata.caption is None or re.fullmatch(r"[\x20-\x7e]*", metadata.caption):
        regex = metadata_regex(Given(), 600, with_caption=metadata.caption is not None)
        assert re.fullmatch(regex, text)
    expected = codes_of_seconds(found.seconds) if wanted.infer_type == "llm_dit" else 0
    assert len(found.codes) == expected
    assert all(0 <= code <= 63_999 for code in found.codes)


@pytest.mark.parametrize("temperature", [0.0, 0.6, 2.0])
def test_fifty_seeds(temperature: float, terse: Planning) -> None:
    captions = set()
    for seed in range(50):
        rng = random.Random(seed)
        wanted = request(
            seed=seed * 85_899_345,
            temperature=temperature,
            caption=rng.choice(["", "a sad song", "抒情流行", "x: 'y'"]),
            lyrics=rng.choice(["", "la la la", "[Instrumental]"]),
            duration=rng.choice([10.0, 10.1, 11.5, 12.99]),
            bpm=rng.choice([None, None, 30, 300]),
            key_scale=rng.choice(["", "", *KEYSCALES]),
            time_signature=rng.choice(["", "", "3", "6"]),
            vocal_language=rng.choice(["en", *LANGUAGES]),
            cfg_scale=rng.choice([1.0, 1.0, 2.5]),
            top_k=rng.choice([None, None, 40]),
            repetition_penalty=rng.choice([1.0, 1.0, 1.2]),
            use_cot_caption=rng.choice([False, True]),
        )
        found = terse.plan(wanted, lambda *_: None)
        legal(found, wanted)
        captions.add(found.metadata.caption)
    assert None in captions
    assert len(captions) > 5


@pytest.mark.parametrize("temperature", [0.0, 0.6, 2.0])
def test_captions_as_long_as_they_get_and_the_lms_own_length(
    temperature: float, planning: Planning
) -> None:
    for seed in range(3):
        wanted = request(
            seed=seed,
            temperature=temperature,
            infer_type="dit",
            lyrics="",
            max_duration=40,
            use_cot_caption=True,
        )
        found = planning.plan(wanted, lambda *_: None)
        legal(found, wanted)
        assert 10 <= found.seconds <= 40
        assert found.metadata.caption


def test_codes_follow_a_caption_only_where_the_decoder_reads_it(
    lm: LanguageModel, terse: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The LM's own caption in the CoT and the user's at the decoder would describe two songs."""
    read: list[str] = []
    rows = LanguageModel.rows

    def watched(self: LanguageModel, prompts: Sequence[Sequence[int]], room: int) -> Rows:
        read.extend(lm.tokenizer.decode(prompt) for prompt in prompts)
        return rows(self, prompts, room)

    monkeypatch.setattr(LanguageModel, "rows", watched)
    for use_cot_caption in (False, True):
        read.clear()
        wanted = request(duration=10, cfg_scale=2.0, use_cot_caption=use_cot_caption)
        found = terse.plan(wanted, lambda *_: None)
        metadata_prompt, codes_prompt, unconditional = read
        assert metadata_prompt.endswith("<think>\n")
        assert unconditional.endswith("<think>\n\n</think>\n\n")
        cot = codes_prompt.partition("<|im_start|>assistant\n")[2]
        assert cot == f"{cot_text(Given.all_of(found.metadata))}\n\n"
        assert ("\ncaption: " in cot) is use_cot_caption
        assert bool(found.metadata.caption) is use_cot_caption
        assert "# Caption\na sad song\n" in codes_prompt


def test_the_lms_length_gives_the_codes(terse: Planning) -> None:
    wanted = request(lyrics="", max_duration=30)
    found = terse.plan(wanted, lambda *_: None)
    legal(found, wanted)
    assert found.seconds == found.metadata.duration
    assert len(found.codes) == 5 * found.metadata.duration


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_even_broken_weights_give_legal_plans(lm: LanguageModel, poison: float) -> None:
    """A job ends with a song, not with a replica that hangs or has crashed."""
    norm = lm.model.model.norm.weight
    before = norm.clone()
    try:
        with torch.no_grad():
            norm.fill_(poison)
        planning = Planning(lm, Lm(caption_tokens=8), Lyrics(), 60.0)
        for temperature in (0.0, 0.6):
            wanted = request(duration=10, temperature=temperature, cfg_scale=2.0)
            legal(planning.plan(wanted, lambda *_: None), wanted)
    finally:
        with torch.no_grad():
            norm.copy_(before)


def test_600_seconds(terse: Planning) -> None:
    wanted = request(duration=600, bpm=90, key_scale="C major", time_signature="4", temperature=0.0)
    found = terse.plan(wanted, lambda *_: None)
    legal(found, wanted)
    assert len(found.codes) == 3000
    # A client gets all of it, and sends it back for an exact replay.
    assert parse_code_string(format_code_string(found.codes)) == found.codes


def test_seeds_and_temperatures_make_different_plans(terse: Planning) -> None:
    fields = {"duration": 10, "bpm": 90, "key_scale": "C major", "time_signature": "4"}
    plans = [
        plan(terse, **fields, seed=seed, temperature=temperature).codes
        for seed, temperature in ((0, 0.6), (1, 0.6), (0, 1.2), (0, 0.0), (1, 0.0), (0, 0.6))
    ]
    assert len(set(plans[:4])) == 4
    assert plans[3] == plans[4]  # greedy does not use a seed
    assert plans[0] == plans[5]


def test_a_longer_song_begins_like_a_shorter_one_with_the_same_prompt(terse: Planning) -> None:
    """One step's draw does not depend on how many steps follow."""
    fields = {"bpm": 90, "key_scale": "C major", "time_signature": "4"}
    short = plan(terse, **fields, duration=10.0)
    long = plan(terse, **fields, duration=10.9)
    assert long.codes[:50] == short.codes
    assert len(long.codes) == 54


@pytest.mark.parametrize("infer_type", ["dit", "llm_dit"])
def test_progress_has_stages_and_steps(
    infer_type: Literal["dit", "llm_dit"], terse: Planning
) -> None:
    reported: list[tuple[str, int, int]] = []
    wanted = request(duration=10, infer_type=infer_type, use_cot_caption=True)
    terse.plan(wanted, lambda *event: reported.append(event))
    stages = [stage for stage, _, _ in reported]
    assert stages == sorted(stages, key=["metadata", "codes"].index)
    assert reported[0] == ("metadata", 0, 6)
    fields = [step for stage, step, _ in reported if stage == "metadata"]
    assert set(range(7)) >= set(fields) >= {0, 1, 5, 6}
    assert fields[-1] == 6
    codes = [event for event in reported if event[0] == "codes"]
    expected = [("codes", step, 50) for step in range(51)]
    assert codes == (expected if infer_type == "llm_dit" else [])


def test_a_song_that_does_not_fit_the_context_is_refused(lm: LanguageModel) -> None:
    small = Planning(
        LanguageModel(lm.name, lm.model, lm.tokenizer, 1024, None),
        Lm(caption_tokens=8),
        Lyrics(),
        60,
    )
    with pytest.raises(PlannerError, match=r"300 audio codes of 60 s cannot fit.* 1024"):
        plan(small, lyrics="la la " * 50, duration=60)
    with pytest.raises(PlannerError, match="cannot fit"):
        plan(small, lyrics="la la " * 500)
    with pytest.raises(PlannerError, match="cannot fit"):
        plan(small, duration=10, cfg_scale=2.0, negative_prompt="noise " * 400)
    assert len(plan(small, duration=10, negative_prompt="noise " * 400).codes) == 50
    # Without a given length, it is as long as fits.
    assert plan(small, lyrics="la la " * 50, temperature=0).seconds < 60


def test_values_that_the_api_let_through_are_refused(terse: Planning) -> None:
    for field, wrong in (("bpm", 301), ("key_scale", "H major"), ("duration", math.inf)):
        unchecked = request().model_copy(update={field: wrong})
        with pytest.raises(PlannerError, match=rf"The plan cannot be made: .*{field[:3]}"):
            terse.plan(unchecked, lambda *_: None)
