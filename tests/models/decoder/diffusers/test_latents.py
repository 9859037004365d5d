"""A job's latents are those that ACE-Step would make.

They are compared with a plain call of diffusers' pipeline where that works as ACE-Step does, and
with the rule written out (upstream.py) where it does not.
"""

from typing import Any

import pytest
import torch

from acestep_ray.decoder.protocol import Sources
from tests.models.decoder.diffusers.tiny import (
    Tiny,
    music,
    noise,
    on_device,
    prompt,
    request,
    source,
)
from tests.models.decoder.diffusers.upstream import (
    COVER,
    REPAINT,
    TEXT2MUSIC,
    Side,
    all_of,
    lengthened,
    silence,
    upstream,
)

TEN_SECONDS = 250
CODES = tuple(range(500, 63_000, 2_400))  # 27 codes, 135 frames, 5.4 s
SOURCE_FRAMES = 140
SOURCE = source(SOURCE_FRAMES * 1920 + 700)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal except for the rounding of float32, which guidance increases."""
    assert ours.abs().max() > 0.1
    atol = 1e-4 if ours.device.type == "cpu" else 5e-4
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)


def equal(ours: torch.Tensor, called: torch.Tensor) -> None:
    """Bit for bit; on a GPU, which may use other kernels for other shapes, except for rounding."""
    if ours.device.type != "cpu":
        return close(ours, called)
    assert ours.abs().max() > 0.1
    assert torch.equal(ours, called)
    return None


def far(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """So different that the comparison above would fail."""
    assert (ours - theirs).abs().max() > 1e-3


def encoded(tiny: Tiny, sources: Sources) -> torch.Tensor:
    """Source latents, drawn as the pipeline would after ``torch.manual_seed(0)``."""
    assert sources.source is not None
    with torch.no_grad():
        audio = on_device(sources.source)[None]
        latents: torch.Tensor = tiny.pipeline.vae.encode(audio).latent_dist.sample(
            torch.Generator(audio.device).manual_seed(0)
        )
    return latents.transpose(1, 2)


@torch.no_grad()
def through_codes(tiny: Tiny, latents: torch.Tensor) -> torch.Tensor:
    quantized, _ = tiny.pipeline.audio_tokenizer.tokenize(latents, silence(tiny.pipeline, 5))
    back: torch.Tensor = tiny.pipeline.audio_token_detokenizer(quantized)
    return back[:, : latents.shape[1]]


@torch.no_grad()
def of_codes(tiny: Tiny, codes: tuple[int, ...]) -> torch.Tensor:
    indices = torch.tensor(codes, device=tiny.pipeline.device)[None, :, None]
    quantized = tiny.pipeline.audio_tokenizer.quantizer.get_output_from_indices(indices)
    latents: torch.Tensor = tiny.pipeline.audio_token_detokenizer(quantized)
    return latents


def test_text2music_on_turbo(turbo: Tiny) -> None:
    asked = request(steps=4)
    called = turbo.called(
        **prompt(asked), audio_duration=10.0, latents=noise(asked.seeds, TEN_SECONDS)
    )
    equal(turbo.latents(asked), called)


def test_turbo_runs_as_many_steps_as_asked_and_ignores_guidance(turbo: Tiny) -> None:
    three = turbo.latents(request(steps=3))
    assert torch.equal(three, turbo.latents(request(steps=3, guidance_scale=15)))
    far(three, turbo.latents(request(steps=4)))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_text2music_on_base_with_guidance(base: Tiny, shift: float) -> None:
    asked = request(steps=4, guidance_scale=7.0, shift=shift)
    start = noise(asked.seeds, TEN_SECONDS)
    ours = base.latents(asked)
    equal(ours, base.called(**prompt(asked), audio_duration=10.0, latents=start))
    far(ours, base.latents(request(steps=4, guidance_scale=6.0, shift=shift)))
    side = Side(TEXT2MUSIC, all_of(silence(base.pipeline, TEN_SECONDS)))
    close(ours, upstream(base.pipeline, asked, start, TEN_SECONDS, side))


def test_sixteen_point_nine_seconds_are_floored_to_422_frames(turbo: Tiny) -> None:
    asked = request(seconds=16.9)
    ours = turbo.latents(asked)
    assert ours.shape[1] == 422
    # The pipeline would round up, so it gets the length in whole frames.
    equal(
        ours, turbo.called(**prompt(asked), audio_duration=16.88, latents=noise(asked.seeds, 422))
    )


def test_codes(turbo: Tiny) -> None:
    asked = request(codes=(CODES,), seconds=60.0)
    frames = 5 * len(CODES)
    called = turbo.called(
        **prompt(asked),
        audio_codes="".join(f"<|audio_code_{code}|>" for code in CODES),
        audio_duration=frames / 25,
        latents=noise(asked.seeds, frames),
    )
    equal(turbo.latents(asked), called)


def test_eleven_codes_are_filled_up_with_silence(turbo: Tiny) -> None:
    codes = CODES[:11]
    asked = request(codes=(codes,), steps=4)
    ours = turbo.latents(asked)
    assert ours.shape[1] == 55
    side = Side(COVER, all_of(lengthened(turbo.pipeline, of_codes(turbo, codes))))
    close(ours, upstream(turbo.pipeline, asked, noise(asked.seeds, 128), 55, side))


def test_two_seconds_are_filled_up_with_silence(turbo: Tiny) -> None:
    asked = request(seconds=2.0)
    side = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, 128)))
    close(turbo.latents(asked), upstream(turbo.pipeline, asked, noise(asked.seeds, 128), 50, side))


def test_cover_at_full_strength(turbo: Tiny) -> None:
    asked = request(task="cover")
    assert SOURCE.source is not None
    called = turbo.called(
        **prompt(asked),
        task_type="cover",
        src_audio=on_device(SOURCE.source),
        audio_duration=SOURCE_FRAMES / 25,
        latents=noise(asked.seeds, SOURCE_FRAMES),
    )
    equal(turbo.latents(asked, SOURCE), called)


@pytest.mark.parametrize(("strength", "steps"), [(0.5, 4), (0.7, 3), (0.0, 2)])
def test_a_cover_below_full_strength_switches_to_text2music(
    turbo: Tiny, strength: float, steps: int
) -> None:
    asked = request(task="cover", steps=steps, cover_strength=strength)
    ours = turbo.latents(asked, SOURCE)
    cover = Side(COVER, all_of(through_codes(turbo, encoded(turbo, SOURCE))))
    plain = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, SOURCE_FRAMES)))
    start = noise(asked.seeds, SOURCE_FRAMES)
    close(ours, upstream(turbo.pipeline, asked, start, SOURCE_FRAMES, cover, plain=plain))
    far(ours, turbo.latents(request(task="cover", steps=steps), SOURCE))


def test_codes_below_full_strength_with_guidance(base: Tiny) -> None:
    asked = request(codes=(CODES,), steps=4, cover_strength=0.5, guidance_scale=5.0)
    frames = 5 * len(CODES)
    cover = Side(COVER, all_of(of_codes(base, CODES)))
    plain = Side(TEXT2MUSIC, all_of(silence(base.pipeline, frames)))
    start = noise(asked.seeds, frames)
    close(base.latents(asked), upstream(base.pipeline, asked, start, frames, cover, plain=plain))


def test_a_cover_of_55_frames_is_filled_up_before_it_goes_through_the_codes(turbo: Tiny) -> None:
    short = source(55 * 1920 + 700)
    asked = request(task="cover")
    ours = turbo.latents(asked, short)
    assert ours.shape[1] == 55
    latents = through_codes(turbo, lengthened(turbo.pipeline, encoded(turbo, short)))
    start = noise(asked.seeds, 128)
    close(ours, upstream(turbo.pipeline, asked, start, 55, Side(COVER, all_of(latents))))


def test_repaint(turbo: Tiny) -> None:
    asked = request(task="repaint", repaint_start=1.5, repaint_end=4.0)
    assert SOURCE.source is not None
    called = turbo.called(
        **prompt(asked),
        task_type="repaint",
        src_audio=on_device(SOURCE.source),
        repainting_start=1.5,
        repainting_end=4.0,
        audio_duration=SOURCE_FRAMES / 25,
        latents=noise(asked.seeds, SOURCE_FRAMES),
    )
    equal(turbo.latents(asked, SOURCE), called)


def test_repaint_of_55_frames(turbo: Tiny) -> None:
    short = source(55 * 1920 + 700)
    asked = request(task="repaint", repaint_start=0.5, repaint_end=None)
    ours = turbo.latents(asked, short)
    latents = lengthened(turbo.pipeline, encoded(turbo, short))
    mask = torch.zeros_like(latents)
    mask[:, 12:55] = 1
    latents[:, 12:55] = silence(turbo.pipeline, 128)[:, 12:55]
    side = Side(REPAINT, torch.cat([latents, mask], dim=-1))
    close(ours, upstream(turbo.pipeline, asked, noise(asked.seeds, 128), 55, side))


@pytest.mark.parametrize(
    ("start", "end", "padding", "window"),
    [
        (-1.0, 2.0, (48_000, 0), slice(0, 75)),
        (4.0, 8.0, (0, 8 * 48_000 - (SOURCE_FRAMES * 1920 + 700)), slice(100, 200)),
        (-0.5, 7.0, (24_000, 7 * 48_000 - (SOURCE_FRAMES * 1920 + 700)), slice(0, 187)),
    ],
)
def test_outpainting_pads_the_source_with_silence_and_moves_the_window(
    turbo: Tiny, start: float, end: float, padding: tuple[int, int], window: slice
) -> None:
    asked = request(task="repaint", repaint_start=start, repaint_end=end)
    assert SOURCE.source is not None
    audio = torch.nn.functional.pad(on_device(SOURCE.source), padding)
    padded = Sources(source=audio.T.cpu().numpy(), source_rate=48_000)
    latents = encoded(turbo, padded)
    frames = latents.shape[1]
    mask = torch.zeros_like(latents)
    mask[:, window] = 1
    latents[:, window] = silence(turbo.pipeline, frames)[:, window]
    side = Side(REPAINT, torch.cat([latents, mask], dim=-1), SOURCE.source.shape[0] / 48_000)
    start_noise = noise(asked.seeds, frames)
    ours = turbo.latents(asked, SOURCE)
    close(ours, upstream(turbo.pipeline, asked, start_noise, frames, side))
    # The text contains the source's 5 seconds, not the result's length.
    side.seconds = None
    far(ours, upstream(turbo.pipeline, asked, start_noise, frames, side))


@pytest.mark.parametrize(
    ("values", "inputs"),
    [
        (
            {"task": "lego", "track_name": "drums", "repaint_start": 1.0, "repaint_end": 3.0},
            {"track_name": "drums", "repainting_start": 1.0, "repainting_end": 3.0},
        ),
        ({"task": "extract", "track_name": "vocals"}, {"track_name": "vocals"}),
        (
            {"task": "complete", "track_classes": ("bass", "strings")},
            {"complete_track_classes": ["bass", "strings"]},
        ),
    ],
)
def test_tasks_of_base_models(base: Tiny, values: dict[str, Any], inputs: dict[str, Any]) -> None:
    asked = request(**values, guidance_scale=4.0)
    assert SOURCE.source is not None
    called = base.called(
        **prompt(asked),
        **inputs,
        task_type=asked.task,
        src_audio=on_device(SOURCE.source),
        audio_duration=SOURCE_FRAMES / 25,
        latents=noise(asked.seeds, SOURCE_FRAMES),
    )
    equal(base.latents(asked, SOURCE), called)


@pytest.mark.parametrize("seconds", [12.0, 41.3])
def test_reference_audio(turbo: Tiny, seconds: float) -> None:
    asked = request()
    reference = music(int(seconds * 48_000), seed=3)
    called = turbo.called(
        **prompt(asked),
        reference_audio=on_device(reference),
        audio_duration=10.0,
        latents=noise(asked.seeds, TEN_SECONDS),
    )
    ours = turbo.latents(asked, Sources(reference=reference, reference_rate=48_000))
    equal(ours, called)
    far(ours, turbo.latents(asked))


@pytest.mark.parametrize("interval", [(0.0, 0.8), (0.5, 0.9), (0.9, 1.0)])
def test_the_guidance_interval_counts_from_the_music_not_from_the_noise(
    base: Tiny, interval: tuple[float, float]
) -> None:
    asked = request(steps=5, guidance_scale=7.0, cfg_interval=interval)
    ours = base.latents(asked)
    start = noise(asked.seeds, TEN_SECONDS)
    side = Side(TEXT2MUSIC, all_of(silence(base.pipeline, TEN_SECONDS)))
    close(ours, upstream(base.pipeline, asked, start, TEN_SECONDS, side))
    # The pipeline counts from the other end.
    low, high = interval
    mirrored = {"cfg_interval_start": 1 - high, "cfg_interval_end": 1 - low}
    equal(ours, base.called(**prompt(asked), **mirrored, audio_duration=10.0, latents=start))
    far(ours, base.latents(request(steps=5, guidance_scale=7.0)))


@pytest.mark.parametrize(
    ("values", "sources"),
    [
        ({"guidance_scale": 7.0}, Sources()),
        ({"codes": (CODES, CODES[::-1])}, Sources()),
        ({"task": "cover", "cover_strength": 0.5}, SOURCE),
        ({"task": "repaint", "repaint_start": 1.0, "repaint_end": 2.0}, SOURCE),
    ],
)
def test_a_batch_of_two_is_two_single_runs(
    base: Tiny, values: dict[str, Any], sources: Sources
) -> None:
    both = base.latents(request(**values | {"seeds": (3, 4)}), sources)
    codes = values.get("codes", ((), ()))
    for index, seed in enumerate((3, 4)):
        alone = values | {"seeds": (seed,), "codes": (codes[index],) if codes[index] else ()}
        close(both[index : index + 1], base.latents(request(**alone), sources))
    far(both[0], both[1])


def test_one_sequence_of_codes_serves_all_takes(turbo: Tiny) -> None:
    shared = turbo.latents(request(codes=(CODES,), seeds=(3, 4)))
    close(shared, turbo.latents(request(codes=(CODES, CODES), seeds=(3, 4))))


@pytest.mark.parametrize(
    "values",
    [
        {"caption": "warm analog synths over a fast beat"},
        {"lyrics": "[verse]\nnight falls over the town"},
        {"vocal_language": "fr"},
        {"bpm": 93},
        {"key_scale": "G minor"},
        {"time_signature": "4"},
        {"instruction": "Fill the gap:"},
        {"seeds": (8,)},
        {"shift": 2.0},
    ],
)
def test_everything_asked_changes_the_music(turbo: Tiny, values: dict[str, Any]) -> None:
    far(turbo.latents(request()), turbo.latents(request(**values)))


@pytest.mark.parametrize(
    ("values", "sources"),
    [
        ({}, Sources()),
        ({"codes": (CODES,)}, Sources()),
        ({"task": "cover"}, SOURCE),
        ({"task": "cover", "cover_strength": 0.5}, SOURCE),
        ({"task": "repaint", "repaint_start": 1.0, "repaint_end": 3.0}, SOURCE),
        ({"task": "lego", "track_name": "drums"}, SOURCE),
        ({"task": "extract", "track_name": "vocals"}, SOURCE),
        ({"task": "complete", "track_classes": ("bass",)}, SOURCE),
    ],
)
def test_the_default_sentences_change_no_music(
    base: Tiny, values: dict[str, Any], sources: Sources
) -> None:
    without = base.latents(request(**values), sources)
    for sentence in ("Fill the mask based on the given conditions:", f" {TEXT2MUSIC}\n"):
        asked = request(**values, instruction=sentence)
        assert torch.equal(base.latents(asked, sources), without)
    own = base.latents(request(**values, instruction="Fill the gap:"), sources)
    if "codes" in values:
        assert torch.equal(own, without)
    else:
        far(own, without)


def test_lego_beyond_its_source_names_the_sources_length(base: Tiny) -> None:
    asked = request(task="lego", track_name="drums", repaint_start=4.0, repaint_end=8.0)
    assert SOURCE.source is not None
    samples = SOURCE.source.shape[0]
    padded = torch.nn.functional.pad(on_device(SOURCE.source), (0, 8 * 48_000 - samples))
    latents = encoded(base, Sources(source=padded.T.cpu().numpy(), source_rate=48_000))
    mask = torch.zeros_like(latents)
    mask[:, 100:200] = 1
    instruction = "Generate the DRUMS track based on the audio context:"
    side = Side(instruction, torch.cat([latents, mask], dim=-1), samples / 48_000)
    start = noise(asked.seeds, 200)
    close(base.latents(asked, SOURCE), upstream(base.pipeline, asked, start, 200, side))


def test_the_model_is_told_the_true_length(turbo: Tiny) -> None:
    """60 s were requested, but the codes make 5.4 s."""
    long, short = (request(codes=(CODES,), seconds=seconds) for seconds in (60.0, 5.4))
    assert torch.equal(turbo.latents(long), turbo.latents(short))
