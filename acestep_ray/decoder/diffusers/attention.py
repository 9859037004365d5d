"""The model's attention to the lyrics, as far as heads are known that follow the singing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.prompt import LYRIC_TOKENS, Prompt
from acestep_ray.decoder.diffusers.velocity import Condition
from acestep_ray.decoder.lyric_alignment import Numbers

Heads = Mapping[int, tuple[int, ...]]
"""By number of the layer, the heads of its cross-attention."""


class _Enough(Exception):
    """The deepest layer that is needed has been reached."""


def lyric_tokens(pipeline: AceStepPipeline, prompt: Prompt) -> tuple[slice, tuple[str, ...]]:
    """Where the tokens of the lyrics are in the sequence that the cross-attention reads, and their
    texts. The header in front of them, and the end, are not lyrics."""
    _, text = prompt.texts(pipeline)
    read = pipeline.tokenizer(
        text, truncation=True, max_length=LYRIC_TOKENS, return_offsets_mapping=True
    )
    begin = text.index(prompt.lyrics + "<|endoftext|>")
    places: list[tuple[int, int]] = read["offset_mapping"]
    ids: list[int] = read["input_ids"]
    stop = pipeline.tokenizer.pad_token_id
    end = ids.index(stop) if stop in ids else len(ids)
    first = next((at for at, (_, last) in enumerate(places[:end]) if last > begin), end)
    texts, shown = [], begin
    for start, last in places[first:end]:
        # A character may be several tokens: it is in the first of them.
        texts.append(text[max(start, shown) : last])
        shown = max(shown, last)
    return slice(first, end), tuple(texts)


@torch.inference_mode()
def attention_to_lyrics(
    pipeline: AceStepPipeline,
    latents: torch.Tensor,
    time: float,
    condition: Condition,
    *,
    heads: Heads,
    rows: slice,
) -> Numbers:
    """[heads, tokens, patches of two frames]: how much of each patch's attention each token of
    ``rows`` gets while the model reads ``latents`` [1, frames, channels] at ``time``."""
    found: list[torch.Tensor] = []
    deepest = max(heads)

    def listener(layer: int) -> Any:
        def hear(module: Any, _: Any, inputs: dict[str, torch.Tensor]) -> None:
            found.extend(_shares(module, inputs, head)[:, rows] for head in heads[layer])
            if layer == deepest:
                raise _Enough

        return hear

    layers = pipeline.transformer.layers
    hooks = [
        layers[layer].cross_attn.register_forward_pre_hook(listener(layer), with_kwargs=True)
        for layer in sorted(heads)
    ]
    times = torch.full((1,), time, device=latents.device, dtype=latents.dtype)
    try:
        # Not by its call: a compiled one would not run the hooks.
        pipeline.transformer.forward(
            hidden_states=latents,
            timestep=times,
            timestep_r=times,
            encoder_hidden_states=condition.text,
            context_latents=condition.context,
            return_dict=False,
        )
    except _Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return np.stack([one.T.double().numpy() for one in found])


def _shares(module: Any, inputs: dict[str, torch.Tensor], head: int) -> torch.Tensor:
    """Of one head, [patches, tokens], on the CPU."""
    width = module.head_dim
    query = module.to_q(inputs["hidden_states"]).unflatten(-1, (module.heads, width))
    key = module.to_k(inputs["encoder_hidden_states"]).unflatten(-1, (module.kv_heads, width))
    query = module.norm_q(query)[0, :, head].float()
    key = module.norm_k(key)[0, :, head * module.kv_heads // module.heads].float()
    return torch.softmax(query @ key.T * module.scaling, dim=-1).cpu()
