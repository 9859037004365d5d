"""What is heard of the lyrics in a take: when each line begins, and how clearly they are sung."""

from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.attention import Heads, attention_to_lyrics, lyric_tokens
from acestep_ray.decoder.diffusers.job import PreparedDecode
from acestep_ray.decoder.diffusers.noise import Noise
from acestep_ray.decoder.diffusers.velocity import Condition
from acestep_ray.decoder.lyric_alignment import Numbers, alignment_score, lrc_text, sung_lines
from acestep_ray.decoder.protocol import TakeScores
from acestep_ray.planner.duration import is_sung
from acestep_ray.timebase import FRAMES_PER_SECOND

_SEED = 42
"""Of the noise that is added to a take to read it again; upstream's."""


@dataclass(frozen=True)
class SungText:
    """Of one take; None: not asked for, or there are no lyrics."""

    lrc: str | None = None
    scores: TakeScores | None = None


def sung_text(
    pipeline: AceStepPipeline, job: PreparedDecode, take: torch.Tensor, index: int, heads: Heads
) -> SungText:
    """What the request asks for, of the final latents [1, frames, channels] of take ``index``.

    The model reads the take once more, with the noise of the last step, and for the scores also
    noise alone. Cancelled between two readings only.
    """
    request = job.request
    if not (request.lrc or request.scores) or not is_sung(request.lyrics):
        return SungText()
    rows, tokens = lyric_tokens(pipeline, job.prompt)
    if not any(text.strip() for text in tokens):
        return SungText()
    context = job.first.context
    own = context[index : index + 1] if len(context) > 1 else context
    condition = Condition(job.first.text, own)
    noise = Noise((_SEED,), take.shape[1], take.shape[2], take.device, take.dtype).draw()
    patches = -(-job.canvas.frames // 2)

    def attention(time: float) -> Numbers:
        latents = time * noise + (1 - time) * take
        found = attention_to_lyrics(pipeline, latents, time, condition, heads=heads, rows=rows)
        return found[..., :patches]

    at_end = attention(1 / job.sampling.steps)
    lrc = scores = None
    if request.lrc:
        seconds = job.canvas.frames / FRAMES_PER_SECOND
        lrc = lrc_text(sung_lines(at_end, tokens, seconds))
    if request.scores:
        scores = TakeScores(
            dit_score=alignment_score(at_end, tokens),
            lm_score=alignment_score(attention(1.0), tokens),
        )
    return SungText(lrc, scores)
