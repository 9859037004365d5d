"""The fields of a request for music, as keywords of ``generate``.

Their meanings, legal values and defaults are in docs/openapi.json. A field that is None, or left
out, has the service's default. A test holds the names and types to docs/openapi.json.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from acestep_ray.client.uploads import AudioFile

P = ParamSpec("P")
R = TypeVar("R")

AudioFormat = Literal["mp3", "wav", "wav32", "flac", "opus", "ogg", "aac"]
TaskType = Literal["text2music", "cover", "cover-nofsq", "repaint", "lego", "extract", "complete"]
LmBackend = Literal["vllm", "pt"]
InferType = Literal["dit", "llm_dit"]
InferMethod = Literal["ode", "sde"]
RepaintMode = Literal["conservative", "balanced", "aggressive"]
ChunkMaskMode = Literal["auto", "explicit"]
SamplerMode = Literal["euler", "heun"]
DcwMode = Literal["low", "high", "double", "pix"]
DcwWavelet = Literal["haar", "db1"]
GuidanceVariant = Literal["apg_classic", "cfg", "adg", "adg_w_norm", "adg_wo_clip"]


class GenerateFields(TypedDict, total=False):
    """Keywords of ``Client.generate`` and ``AsyncClient.generate``."""

    # The song
    caption: str | None
    """What the music is like: style, mood, instruments, voice."""
    lyrics: str | None
    """What is sung, with section tags such as ``[verse]``. Empty: instrumental."""
    vocal_language: str | None
    """Language of the lyrics, such as ``en``."""
    instrumental: bool | None
    """A song without words: the language model writes no lyrics."""
    bpm: int | None
    """Beats per minute, 30 to 300."""
    key_scale: str | None
    """Key, such as ``C major`` or ``Am``."""
    time_signature: str | None
    """Beats per bar: ``2``, ``3``, ``4`` or ``6``."""
    audio_duration: float | None
    """Length of a take, seconds."""
    metas: Mapping[str, Any] | str | None
    """Several fields in one object, such as the ``metas`` of a result."""

    # The takes
    batch_size: int | None
    """How many takes to make, 1 to 8."""
    audio_format: AudioFormat | None
    """File type of the takes."""
    use_random_seed: bool | None
    """False: use ``seed``."""
    seed: int | str | Sequence[int] | None
    """Used if ``use_random_seed`` is false; one, or one per take."""

    # Audio to start from
    task_type: TaskType | None
    """What to do; ``lego``, ``extract`` and ``complete`` need a base model."""
    src_audio: AudioFile | None
    """Audio to repaint or cover."""
    reference_audio: AudioFile | None
    """Audio whose sound the takes follow."""
    src_audio_path: str | None
    """As ``src_audio``, by a path on the server."""
    reference_audio_path: str | None
    """As ``reference_audio``, by a path on the server."""
    src_job_id: str | None
    """As ``src_audio``, by an earlier job."""
    src_take: int | None
    """Which take of ``src_job_id``, from 1."""
    reference_job_id: str | None
    """As ``reference_audio``, by an earlier job."""
    reference_take: int | None
    """Which take of ``reference_job_id``, from 1."""
    repainting_start: float | None
    """Start of the window to repaint, seconds."""
    repainting_end: float | None
    """End of the window, seconds."""
    repaint_mode: RepaintMode | None
    """How closely a repaint keeps to its source while it is made."""
    repaint_strength: float | None
    """How free a balanced repaint is, 0 to 1."""
    chunk_mask_mode: ChunkMaskMode | None
    """Whether the model is shown the window."""
    cover_noise_strength: float | None
    """How much of the source is in the noise at the beginning, 0 to 1."""
    audio_cover_strength: float | None
    """Share of the steps that follow the source, 0 to 1."""
    track_name: str | None
    """Track to add (lego) or to take out (extract)."""
    track_classes: Sequence[str] | str | None
    """Tracks to add (complete)."""

    # The language model
    use_5hz_lm: bool | None
    """Let the language model plan the song first."""
    sample_query: str | None
    """A song in a few words: the language model writes caption, lyrics and metadata from it."""
    sample_mode: bool | None
    """Let the language model write the song, also without a ``sample_query``."""
    use_format: bool | None
    """Let the language model rewrite caption and lyrics in the form that suits the models."""
    use_cot_caption: bool | None
    """Let the language model word the caption anew."""
    use_cot_language: bool | None
    """Whether the language model chooses the language that its codes follow."""
    lm_model_path: str | None
    """Name of a deployed language model."""
    lm_backend: LmBackend | None
    """Engine of the language model."""
    lm_temperature: float | None
    """Randomness, 0 to 2."""
    lm_cfg_scale: float | None
    """Guidance, 0 to 20; on above 1."""
    lm_negative_prompt: str | None
    """What to avoid, if ``lm_cfg_scale`` is above 1."""
    lm_top_k: int | None
    """Choose among so many likeliest tokens; 0: among all."""
    lm_top_p: float | None
    """Choose among the likeliest tokens of this total probability; 1: among all."""
    lm_repetition_penalty: float | None
    """Above 1: fewer repetitions."""
    audio_code_string: str | Sequence[str] | None
    """Audio codes of an earlier plan; one text, or one per take."""
    infer_type: InferType | None
    """``dit``: the language model writes metadata only."""

    # The decoder
    model: str | None
    """Name of a deployed decoder model."""
    inference_steps: int | None
    """Diffusion steps, 1 to 200."""
    guidance_scale: float | None
    """How closely to follow the caption, 0 to 30."""
    cfg_interval_start: float | None
    """Guidance is on from this time-step, 0 to 1 ..."""
    cfg_interval_end: float | None
    """... up to this one."""
    shift: float | None
    """Shift of the time-steps, 1 to 5."""
    use_tiled_decode: bool | None
    """Decode the waveform in tiles, which needs less memory."""
    use_adg: bool | None
    """Guidance by angles."""
    retake_seed: int | str | Sequence[int] | None
    """Seed of other noise that is mixed in; one, or one per take."""
    retake_variance: float | None
    """How much of that noise, 0 to 1."""
    infer_method: InferMethod | None
    """``sde``: each step goes through new noise."""
    sampler_mode: SamplerMode | None
    """``heun``: the model is asked twice in each step."""
    timesteps: Sequence[float] | str | None
    """Times of the steps, from 1 to 0, instead of ``inference_steps`` and ``shift``."""
    velocity_norm_threshold: float | None
    """Limit of the velocity, in norms of the latents; 0: none."""
    velocity_ema_factor: float | None
    """Share of the step before in a step's velocity, 0 to 1."""
    latent_shift: float | None
    """Added to the final latents."""
    latent_rescale: float | None
    """Factor of the final latents."""
    dcw_enabled: bool | None
    """Correct the latents after each step (DCW); by default, turbo models do."""
    dcw_mode: DcwMode | None
    """What DCW corrects."""
    dcw_scaler: float | None
    """Strength of DCW, 0 to 1; in the mode ``double`` that of the slow part."""
    dcw_high_scaler: float | None
    """Strength of DCW for the fast part, 0 to 1, in the mode ``double``."""
    dcw_wavelet: DcwWavelet | None
    """Wavelet of DCW."""
    global_caption: str | None
    """What the whole song is like, for models that make single tracks."""
    guidance_variant: GuidanceVariant | None
    """How guidance combines what the model says with and without the texts."""
    flow_edit_morph: bool | None
    """Move the source from the text that describes it to caption and lyrics."""
    flow_edit_source_caption: str | None
    """What the source is like."""
    flow_edit_source_lyrics: str | None
    """What is sung in the source."""
    flow_edit_n_min: float | None
    """Share of the steps that are left out at the beginning, 0 to 1."""
    flow_edit_n_max: float | None
    """Share of the steps after which the new text goes on alone, 0 to 1."""
    flow_edit_n_avg: int | None
    """Noises that are compared in each step, 1 to 8."""
    adapters: Sequence[str | Mapping[str, Any]] | str | None
    """Adapters (LoRA, LoKr): names, or mappings with ``name`` and ``scale``; empty: none."""
    lrc: bool | None
    """Find when each line of the lyrics is sung."""
    scores: bool | None
    """Measure how clearly the lyrics are sung."""
    instruction: str | None
    """The instruction line of the model's prompt, instead of the task's."""

    # Messages
    webhook_url: str | None
    """Where signed messages about the job are sent."""
    webhook_events: Sequence[str] | str | None
    """Which ones."""

    # Other names of ``metas``
    param_obj: Mapping[str, Any] | str | None
    """As ``metas``."""
    meta: Mapping[str, Any] | str | None
    """As ``metas``."""
    metadata: Mapping[str, Any] | str | None
    """As ``metas``."""
    user_metadata: Mapping[str, Any] | str | None
    """As ``metas``."""


def with_fields(method: Callable[P, R]) -> Callable[P, R]:
    """Give a method with ``**fields`` the signature in which ``help`` and notebooks show each of
    them."""
    signature = inspect.signature(method)
    kept = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = [
        inspect.Parameter(name, keyword, default=None, annotation=kind)
        for name, kind in GenerateFields.__annotations__.items()
    ]
    method.__signature__ = signature.replace(parameters=[*kept, *fields])  # type: ignore[attr-defined]
    return method
