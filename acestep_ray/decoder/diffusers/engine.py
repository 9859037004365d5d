"""The diffusers decoder engine: ACE-Step 1.5 itself."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from diffusers import AceStepPipeline

from acestep_ray.adapters.header import BadAdapter
from acestep_ray.audio.level import limit_peak, normalise_peak
from acestep_ray.decoder.checkpoints.load import Loaded, load
from acestep_ray.decoder.diffusers.adapters import MOST_BYTES, AdaptedModels
from acestep_ray.decoder.diffusers.compiled import compile_modules, or_as_it_is
from acestep_ray.decoder.diffusers.decode import decode
from acestep_ray.decoder.diffusers.device import (
    choose_device,
    choose_dtype,
    device_label,
    free_memory,
    memory_of,
    ran_out_of_memory,
    reset_peak,
)
from acestep_ray.decoder.diffusers.encodings import Encodings
from acestep_ray.decoder.diffusers.flow_edit import FlowEdit, edit_flow
from acestep_ray.decoder.diffusers.job import PreparedDecode, prepare
from acestep_ray.decoder.diffusers.loop import Sampling, denoise
from acestep_ray.decoder.diffusers.noise import Noise, mixed
from acestep_ray.decoder.diffusers.quantised import check_quantization, quantise
from acestep_ray.decoder.diffusers.residents import Residents, move
from acestep_ray.decoder.diffusers.step_progress import StepProgress
from acestep_ray.decoder.diffusers.sung_text import SungText, sung_text
from acestep_ray.decoder.diffusers.velocity import Condition
from acestep_ray.decoder.protocol import (
    DecoderDescription,
    DecodeRequest,
    DecoderError,
    DeviceMemory,
    OutOfMemoryError,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.settings.engine_names import Quantization
from acestep_ray.timebase import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, Samples

KINDS_SECONDS = (20.0, 33.04)
"""Lengths of the jobs for which a model is compiled: an even number of frames that are decoded
whole, and an odd one that is decoded in tiles."""
WHOLE_SECONDS = 120.0
"""Longest piece that is decoded as a whole if a request does not ask for tiles."""


class DiffusersDecoder:
    """One loaded model. Jobs do not change it, so the same request gives the same music.

    All takes of a job are one batch. On the CPU in float32 the result is the same bit for bit,
    whatever ran before or at the same time, if torch has the same number of threads.
    """

    def __init__(
        self,
        loaded: Loaded,
        device: torch.device,
        whole_seconds: float = WHOLE_SECONDS,
        compiler: str = "",
        *,
        adapter_bytes: int = MOST_BYTES,
        quantization: Quantization = "",
        offload: bool = False,
    ) -> None:
        self._pipeline = loaded.pipeline
        self._info = loaded.info
        self._quantization = quantization
        self._device = device
        self._whole_frames = int(whole_seconds * FRAMES_PER_SECOND)
        self._encodings = Encodings()
        self._adapted = AdaptedModels(loaded.pipeline, adapter_bytes)
        # Long sources are encoded in pieces of 30 s; decode() makes its own tiles.
        self._pipeline.vae.enable_tiling()
        if self._pipeline.condition_encoder.dtype == torch.float16:
            # With real weights, numbers in the lyric encoder exceed float16's 65,504 and become
            # NaN.
            self._pipeline.condition_encoder.to(torch.float32)
        self._residents = Residents(self._pipeline, device) if offload else None
        self._compiling: Callable[[], AbstractContextManager[None]] = nullcontext
        self._warm_up(1.0, takes=1)
        if compiler and compile_modules(self._pipeline, self._all_kinds, compiler):
            self._compiling = or_as_it_is

    @classmethod
    def load(
        cls,
        folder: Path,
        model: str = "",
        *,
        device: str = "auto",
        dtype: str = "auto",
        whole_seconds: float = WHOLE_SECONDS,
        compiler: str = "",
        adapter_bytes: int = MOST_BYTES,
        quantization: Quantization = "",
        offload: bool = False,
    ) -> "DiffusersDecoder":
        """Load a checkpoint of either layout and run a short piece through it. Blocking.

        ``model`` names one of several in ``folder``. ``compiler``: a backend of torch.compile;
        empty: the modules run as they are. ``adapter_bytes``: as of AdaptedModels.
        ``quantization``: how the transformer's weights are kept. ``offload``: whether only the
        module that works is on the device. Raises CheckpointError, and
        ValueError for a device, number type or quantization that cannot be used.
        """
        where = choose_device(device)
        check_quantization(quantization, where)
        smaller = partial(quantise, kind=quantization) if quantization else None
        number = choose_dtype(dtype, where)
        first = "cpu" if offload else str(where)
        loaded = load(folder, model, first, number, quantise=smaller)
        return cls(
            loaded,
            where,
            whole_seconds,
            compiler,
            adapter_bytes=adapter_bytes,
            quantization=quantization,
            offload=offload,
        )

    def describe(self) -> DecoderDescription:
        """What this engine serves."""
        return DecoderDescription(
            engine="diffusers",
            model=self._info.name,
            tasks=self._info.tasks,
            turbo=self._info.turbo,
            mock=False,
            device=device_label(self._device),
            xl=self._info.xl,
            lego_sft=self._info.lego_sft,
            lrc=self._info.lyric_heads is not None,
            scores=self._info.lyric_heads is not None,
            adapters=True,
            width=self._pipeline.transformer.config.hidden_size,
            quantization=self._quantization,
        )

    def memory(self) -> DeviceMemory | None:
        """How full the device is, with the last job's peak; None on the CPU."""
        return memory_of(self._device)

    def free_memory(self) -> None:
        """Free cached memory, after an OutOfMemoryError."""
        self._encodings.clear()
        self._adapted.clear()
        if self._residents:
            self._residents.leave()
        free_memory(self._device)

    def arrive(self) -> None:
        """See Movable. Raises DecoderError if the device has no room."""
        try:
            for module in self._always_there():
                move(module, self._device)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            raise DecoderError(
                "The GPU has no room for the model: other programs use its memory."
            ) from error

    def leave(self) -> None:
        """See Movable. What is kept of earlier jobs is forgotten."""
        self.free_memory()
        for module in self._always_there():
            move(module, torch.device("cpu"))
        free_memory(self._device)

    def _always_there(self) -> list[torch.nn.Module]:
        """The modules that are on the device between jobs."""
        if self._residents:
            return self._residents.staying
        parts = self._pipeline.components.values()
        return [part for part in parts if isinstance(part, torch.nn.Module)]

    def loaded_adapters(self) -> frozenset[str]:
        """Names of the adapters whose weights are on the device."""
        return self._adapted.names

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """Yield the takes of one job in order, at 48 kHz and at their final level.

        Reports "encoding" at the start, "diffusion" before the first step and after every one,
        and "vae" before the first take, between the tiles of a long one, and after each. Raises
        DecoderError, OutOfMemoryError.
        """
        done = 0
        for _ in range(2):
            try:
                for take in self._takes(request, sources, report):
                    yield take
                    done += 1
                    del take  # or it would stay in memory during the next one
            except Exception as error:
                # If the error is kept somewhere, it would keep the tensors of all its frames.
                traceback.clear_frames(error.__traceback__)
                if not ran_out_of_memory(error):
                    raise
            else:
                return
            others = self._adapted.names - {use.name for use in request.adapters}
            if done or not others:
                break
            self.free_memory()  # adapters of earlier jobs; this one may have room without them
        raise OutOfMemoryError("The device's memory did not suffice.")

    def _takes(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        if request.model not in ("", self._info.name):
            raise DecoderError(f"This is {self._info.name}, not {request.model}.")
        if request.task not in self._info.tasks:
            raise DecoderError(f"{self._info.name} does not do {request.task}.")
        reset_peak(self._device)
        report("encoding", 0, 1)
        job = self._prepare(request, sources, self._with_adapters(request, sources))
        with self._compiling():
            latents = self._denoise(job, report)
        takes = len(request.seeds)
        report("vae", 0, takes)
        for index, seed in enumerate(request.seeds):
            take = latents[index : index + 1]
            with self._compiling():
                samples = self._decode(job, take, partial(report, "vae", index, takes))
            sung = self._sung_text(job, take, index)
            report("vae", index + 1, takes)
            yield RenderedTake(index, seed, samples, job.warnings, sung.lrc, sung.scores)
            del samples  # or it would stay in memory during the next one

    def _with_adapters(self, request: DecodeRequest, sources: Sources) -> AceStepPipeline:
        """The model with the request's adapters."""
        if not request.adapters:
            return self._pipeline
        if self._residents:
            self._residents.leave()  # adapters are read to where the model is: the CPU
        try:
            return self._adapted.get(request.adapters, sources.adapters)
        except BadAdapter as error:
            raise DecoderError(str(error)) from error

    # inference_mode is a state of the thread, so no function that yields may hold it.
    @torch.inference_mode()
    def _prepare(
        self, request: DecodeRequest, sources: Sources, adapted: AceStepPipeline
    ) -> PreparedDecode:
        return prepare(
            self._pipeline,
            request,
            sources,
            self._device,
            self._whole_frames,
            adapted=adapted,
            encodings=self._encodings,
            lego_sft=self._info.lego_sft,
        )

    @torch.inference_mode()
    def _denoise(self, job: PreparedDecode, report: Report) -> torch.Tensor:
        """Latents [takes, frames, channels], with the frames that were added for the model."""
        request = job.request
        sampling, canvas = job.sampling, job.canvas
        if job.original is not None:
            return self._scaled(request, self._edited(job, job.original, report))
        noise = self._noise(job, request.seeds)
        first_noise = noise.draw()
        if request.retake_variance > 0:
            other = self._noise(job, request.retake_seeds).draw()
            first_noise = mixed(first_noise, other, request.retake_variance)
        late = request.cover_noise_strength > 0
        progress = self._progress(sampling, report)
        latents = denoise(
            job.pipeline,
            first_noise,
            job.condition,
            sampling,
            start=canvas.begin if late else None,
            kept=canvas.repainted.kept if canvas.repainted else None,
            after_step=progress.after_step,
            new_noise=noise.draw,
        )
        progress.finish()
        return self._scaled(request, latents)

    def _edited(self, job: PreparedDecode, original: Condition, report: Report) -> torch.Tensor:
        """Latents of a source that is edited, as those of ``_denoise``."""
        request, source = job.request, job.canvas.begin
        assert source is not None
        edit = FlowEdit.of(request, job.sampling.steps, source, original, job.first)
        seeds = request.retake_seeds if request.retake_variance > 0 else request.seeds
        progress = self._progress(job.sampling, report)
        latents = edit_flow(
            job.pipeline,
            edit,
            job.sampling,
            after_step=progress.after_step,
            new_noise=self._noise(job, seeds).draw,
        )
        progress.finish()
        return latents

    def _progress(self, sampling: Sampling, report: Report) -> StepProgress:
        return StepProgress(self._device, lambda step: report("diffusion", step, sampling.steps))

    @staticmethod
    def _scaled(request: DecodeRequest, latents: torch.Tensor) -> torch.Tensor:
        if (request.latent_rescale, request.latent_shift) == (1, 0):
            return latents
        return latents * request.latent_rescale + request.latent_shift

    def _sung_text(self, job: PreparedDecode, take: torch.Tensor, index: int) -> SungText:
        heads = self._info.lyric_heads
        if heads is None:
            return SungText()
        return sung_text(job.pipeline, job, take, index, heads)

    def _noise(self, job: PreparedDecode, seeds: tuple[int, ...]) -> Noise:
        frames, channels = job.canvas.context.shape[1:]
        dtype = self._pipeline.transformer.dtype
        return Noise(seeds, frames, channels // 2, self._device, dtype)

    @torch.inference_mode()
    def _decode(
        self, job: PreparedDecode, latents: torch.Tensor, tick: Callable[[], None]
    ) -> Samples:
        """One take at its final level: -1 dBFS, or the source's level if the source is repainted.

        If the new part of a repainted source would clip, it is scaled down as a whole. Upstream
        uses the peak of the whole decoded take; this uses the peak of the part that is kept.
        """
        repainted = job.canvas.repainted
        latents = latents[:, : job.canvas.frames]
        first, last = 0, job.canvas.frames
        if repainted:
            first, last = repainted.window.first, repainted.window.last
        samples = decode(self._pipeline.vae, latents, first, last, tiled=job.tiled, tick=tick)
        try:
            if repainted is None:
                normalise_peak(samples)
                return samples
            limit_peak(samples)
        except ValueError as error:
            raise DecoderError(
                f"The model's numbers overflowed in {self._pipeline.transformer.dtype}."
            ) from error
        window = repainted.window
        offset = first * SAMPLES_PER_FRAME
        music = samples[window.begin - offset : window.music_end - offset]
        source = repainted.source.T.to("cpu").contiguous().numpy()
        return window.splice(source, music, repainted.kept.style.fade)

    def _all_kinds(self) -> None:
        """Run jobs of all kinds of inputs: each kind is compiled by itself."""
        for seconds in KINDS_SECONDS:
            for takes in (1, 2):
                self._warm_up(seconds, takes, guidance=1.0)  # guided ones are twice as many

    def _warm_up(self, seconds: float, takes: int, guidance: float = 7.0) -> None:
        """Run a short job, so that the first real job finds kernels chosen and memory allocated."""
        request = DecodeRequest(
            job_id="warm-up",
            attempt=0,
            caption="",
            seconds=seconds,
            seeds=tuple(range(takes)),
            steps=2,
            guidance_scale=guidance,
        )
        for _ in self.generate(request, Sources(), lambda *_: None):
            pass
