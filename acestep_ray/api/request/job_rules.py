"""The rules for several values of a request: checked values -> JobSpec, warnings, errors."""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.api.request.adapter_choice import NO_ADAPTERS, OfferedAdapters, adapters_for
from acestep_ray.api.request.aliases import FILE_NAMES
from acestep_ray.api.request.engine_choice import NoSuchModel, choose_decoder, one_of, plan_with
from acestep_ray.api.request.field_values import RANDOM, fix_seeds
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.song_writing import writing_field
from acestep_ray.api.request.sound_rules import check_sound
from acestep_ray.api.request.validation import (
    ValidatedRequest,
    ValidationReport,
    shown_names,
)
from acestep_ray.decoder.instruction import own_instruction
from acestep_ray.decoder.protocol import (
    COVER_TASKS,
    MORPH_TASKS,
    SOURCE_TASKS,
    WINDOW_TASKS,
    AdapterUse,
    DecodeParameters,
)
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.webhook import Webhook
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.protocol import PlanParameters
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.settings import Settings

TURBO_STEPS = 20


@dataclass(frozen=True)
class JobDraft:
    """``spec`` contains no audio yet; the flags: which audio must still be read for it.
    ``webhook``: None if the request asks for none."""

    spec: JobSpec
    wants_source: bool
    wants_reference: bool
    webhook: Webhook | None = None


def admit(
    checked: ValidatedRequest,
    settings: Settings,
    deployed: Deployed,
    files: frozenset[str],
    unknown_files: Sequence[str] = (),
    *,
    adapters: OfferedAdapters = NO_ADAPTERS,
) -> tuple[JobDraft, ValidationReport]:
    """Apply every rule that needs more than one field, or what is deployed.

    ``files``: the names of the form's files; ``unknown_files``: those of files that are not read.
    ``adapters``: those that a request may use.
    The spec may only be used if the ValidationReport has no errors. Raises Problem 503 if an engine
    that the request needs is not ready yet.
    """
    return _Admission(checked, settings, deployed, files, unknown_files, adapters=adapters).run()


class _Admission:
    def __init__(
        self,
        checked: ValidatedRequest,
        settings: Settings,
        deployed: Deployed,
        files: frozenset[str],
        unknown_files: Sequence[str],
        *,
        adapters: OfferedAdapters,
    ) -> None:
        self.unknown_files = unknown_files
        self.offered = adapters
        self.adapters: tuple[AdapterUse, ...] = ()
        self.request: GenerateRequest = checked.request
        self.sent = checked.sent
        # As the request says; if it does not, as the model is made.
        self.steps = len(self.request.timesteps) or self.request.steps
        self.shift = self.request.shift
        self.settings = settings
        self.deployed = deployed
        self.found = ValidationReport(checked, settings.limits)
        self.has_source = "src_audio" in files or bool(self.request.src_audio_path)
        self.has_reference = "reference_audio" in files or bool(self.request.reference_audio_path)
        for name in sorted(files):
            if f"{name}_path" in self.sent:
                self.found.warn(f"{name}_path is not used: the file {name} came too.")

    def run(self) -> tuple[JobDraft, ValidationReport]:
        request = self.request
        codes = self.codes()
        plan = plan_with(
            request,
            self.sent,
            bool(codes),
            self.deployed,
            self.found,
            plan_per_take=self.settings.lm.plan_per_take,
        )
        decoder = self.decoder()
        takes = self.takes(codes)
        wants_source = self.source(codes)
        self.duration(codes, plan)
        self.unused(codes, plan)
        self.nothing_given(codes, plan)
        self.audio_format()
        if request.cfg_interval_start > request.cfg_interval_end:
            self.found.refuse(
                "cfg_interval_end",
                f"cfg_interval_end ({request.cfg_interval_end:g}) must not be below "
                f"cfg_interval_start ({request.cfg_interval_start:g}).",
            )
        decode = DecodeParameters.model_validate(
            {
                **dict(request),
                "cfg_interval": request.cfg_interval,
                "instruction": own_instruction(request.instruction),
                "caption": self.caption(plan),
                "duration": None if codes else request.duration,
                "codes": codes,
                "flow_edit_morph": self.edits_flow,
                "steps": self.steps,
                "shift": self.shift,
                "seeds": self.seeds(takes),
                "retake_seeds": self.retake_seeds(takes),
                **decoder,
                "adapters": self.adapters,
            }
        )
        webhook = self.webhook()
        warnings = tuple(dict.fromkeys(self.found.warnings))
        spec = JobSpec(decode=decode, plan=plan, warnings=warnings)
        return JobDraft(spec, wants_source, self.has_reference, webhook), self.found

    @property
    def edits_flow(self) -> bool:
        """Whether a source is moved to another text."""
        return self.request.flow_edit_morph and self.request.task in MORPH_TASKS

    def caption(self, plan: PlanParameters | None) -> str:
        """The caption of the request. A song that is to be written from a description has none: the
        description stands for it in lists of jobs, and where an older release runs the job."""
        written_from = plan.writing.query if plan and plan.writing else ""
        return self.request.caption or written_from

    def webhook(self) -> Webhook | None:
        """Where messages about the job are sent, and of what."""
        request = self.request
        if request.webhook_url is None:
            if "webhook_events" in self.sent and "webhook_url" not in self.found.errors:
                self.found.warn("webhook_events is not used: there is no webhook_url.")
            return None
        return Webhook(url=request.webhook_url, events=request.webhook_events)

    def codes(self) -> tuple[tuple[int, ...], ...]:
        """The codes that are used: they replace a plan, so only if a plan would be used."""
        request = self.request
        if not request.codes:
            return ()
        if self.edits_flow:
            self.found.warn("audio_code_string is not used with flow_edit_morph.")
            return ()
        if request.infer_type == "dit":
            self.found.warn("audio_code_string is not used with infer_type dit.")
            return ()
        if request.task != "text2music" and request.task not in COVER_TASKS:
            self.found.warn(f"audio_code_string is not used for {request.task}.")
            return ()
        return request.codes

    def decoder(self) -> dict[str, str]:
        """``model`` and ``decoder`` of DecodeParameters: empty if the request needs no certain one
        of several."""
        request = self.request
        try:
            decoder = choose_decoder(self.deployed, request.model, request.task)
        except NoSuchModel as error:
            self.found.refuse(error.field, str(error), error.legal)
            return {"model": "", "decoder": ""}
        if request.adapters and not decoder.adapters:
            # During an update, replicas of earlier code may serve the same model.
            same = (d for d in self.deployed.decoders if d.model == decoder.model and d.adapters)
            decoder = next(same, decoder)
        self.adapters = adapters_for(
            request.adapters, decoder, self.deployed, self.offered, self.found
        )
        if "inference_steps" not in self.sent and not request.timesteps:
            self.steps = decoder.recommended_steps
        if "shift" not in self.sent:
            self.shift = decoder.recommended_shift
        if decoder.turbo:
            if self.steps > TURBO_STEPS and not request.timesteps:
                self.found.warn(
                    f"{decoder.model} is a turbo model, made for {decoder.recommended_steps} "
                    f"steps; {self.steps} are run as asked."
                )
            guidance = ("guidance_scale", "cfg_interval_start", "cfg_interval_end")
            given = [name for name in guidance if name in self.sent]
            given += ["use_adg"] * request.use_adg
            if given := given + ["guidance_variant"] * (request.guidance_variant != "apg_classic"):
                self.found.warn(f"Not used by {decoder.model}, a turbo model: {', '.join(given)}.")
        if request.global_caption.strip() and not decoder.lego_sft:
            self.found.refuse(
                "global_caption",
                f"global_caption is not for {decoder.model}, which was not tuned to make single "
                "tracks: say it in caption.",
                "left out: say it in caption",
            )
        check_sound(request, self.sent, decoder, self.found)
        if len(self.settings.decoders) > 1:
            return {"model": decoder.model, "decoder": decoder.deployment}
        only_one = request.model is None and decoder == self.deployed.decoders[0]
        return {"model": "" if only_one else decoder.model, "decoder": ""}

    def takes(self, codes: tuple[tuple[int, ...], ...]) -> int:
        """Number of takes: as requested, else as many as seeds or code sequences, else the
        default."""
        request, settings = self.request, self.settings
        seeds = 1 if request.use_random_seed else len(request.seed)
        takes = request.batch_size or max(seeds, len(codes))
        if seeds == 1 and len(codes) <= 1 and request.batch_size is None:
            return min(settings.defaults.batch_size, settings.limits.batch_size)
        count = f"batch_size is {takes}" if request.batch_size else f"there are {takes} takes"
        if seeds not in (1, takes):
            self.found.refuse(
                "seed", f"seed lists {seeds} seeds, but {count}; give one seed, or one a take."
            )
        if len(codes) not in (0, 1, takes):
            self.found.refuse(
                "audio_code_string",
                f"audio_code_string lists {len(codes)} code sequences, but {count}; "
                "give one, or one a take.",
            )
        return takes

    def seeds(self, takes: int) -> tuple[int, ...]:
        request = self.request
        if not request.use_random_seed:
            # A list of the wrong length was refused; the spec that gets it is not used.
            return fix_seeds(request.seed, takes)
        return fix_seeds((RANDOM,), takes)

    def retake_seeds(self, takes: int) -> tuple[int, ...]:
        """The seeds of the noise that is mixed in; none if nothing of it is."""
        request = self.request
        if request.retake_variance == 0:
            if "retake_seed" in self.sent:
                self.found.warn("retake_seed is not used: retake_variance is 0.")
            return ()
        if len(request.retake_seed) not in (1, takes):
            self.found.refuse(
                "retake_seed",
                f"retake_seed lists {len(request.retake_seed)} seeds, but there are {takes} takes; "
                "give one seed, or one a take.",
            )
        return fix_seeds(request.retake_seed, takes)

    def source(self, codes: tuple[tuple[int, ...], ...]) -> bool:
        """Whether the source audio must be read."""
        task = self.request.task
        if task not in SOURCE_TASKS and not self.edits_flow:
            if self.has_source:
                self.found.warn(f"The source audio is not used for {task}.")
            return False
        if codes:
            if self.has_source:
                self.found.warn("The source audio is not used: audio codes came, and they win.")
            return False
        named = {"src_audio", "src_job_id", "src_take"} & self.found.errors.keys()
        if not self.has_source and not named:
            with_codes = task in COVER_TASKS and not self.edits_flow
            codes_too = ", or audio_code_string" if with_codes else ""
            asked = "flow_edit_morph" if self.edits_flow else f"task_type {task}"
            self.found.refuse(
                "src_audio_path",
                f"{asked} needs source audio: the file src_audio of a multipart form, "
                f"src_job_id, or src_audio_path{codes_too}.{self.misnamed()}",
            )
        return self.has_source

    def misnamed(self) -> str:
        """A sentence about files whose names are not read; empty if there are none."""
        if not self.unknown_files:
            return ""
        sent = shown_names(self.unknown_files)
        read = ", ".join(name for name in FILE_NAMES if name.islower())
        return f" A file came as {sent}; files are read under these names only: {read}."

    def duration(self, codes: tuple[tuple[int, ...], ...], plan: PlanParameters | None) -> None:
        """Report values that are not possible with this length, and illegal repaint windows."""
        request = self.request
        seconds = request.duration
        shortest = DURATION_RANGE[0]
        asked = "use_5hz_lm" if request.use_5hz_lm else writing_field(request)
        if seconds is not None:
            if plan and seconds < shortest:
                self.found.refuse(
                    "audio_duration",
                    f"audio_duration must be from {shortest} to {self.settings.limits.duration:g} "
                    f"seconds with {asked}; got {seconds:g}.",
                )
            if codes and abs(len(codes[0]) / 5 - seconds) > 0.2:
                self.found.warn(
                    f"audio_duration is not used: the audio codes make {len(codes[0]) / 5:g} s."
                )
            if (request.task in SOURCE_TASKS or self.edits_flow) and not codes:
                self.found.warn("audio_duration is not used: the source decides the length.")
        end = request.repaint_end
        if request.task in WINDOW_TASKS and end is not None:
            start = request.repaint_start
            if end <= start:
                self.found.refuse(
                    "repainting_end",
                    f"repainting_end ({end:g}) must lie after repainting_start ({start:g}).",
                )

    def audio_format(self) -> None:
        """Refuse a format that some decoder cannot write: it may get the job."""
        asked, possible = self.request.audio_format, self.deployed.audio_formats()
        if asked not in possible:
            self.found.refuse(
                "audio_format",
                f"audio_format {asked} needs ffmpeg on every machine with a decoder: install it "
                f"there and restart the service, or send {one_of(possible)}.",
                one_of(possible),
            )

    def nothing_given(
        self, codes: tuple[tuple[int, ...], ...], plan: PlanParameters | None
    ) -> None:
        """Warn if nothing describes a new song: often the name of a field was wrong."""
        request = self.request
        if plan and plan.writing and plan.writing.kind == "sample":
            return
        words = request.caption.strip() or request.lyrics.strip()
        if request.task == "text2music" and not (words or codes or self.has_reference):
            self.found.warn(
                "Nothing says what the song is about: caption and lyrics are empty; send caption, "
                'such as "upbeat pop song".'
            )

    def unused(self, codes: tuple[tuple[int, ...], ...], plan: PlanParameters | None) -> None:
        """Warn of values that were sent but that the task does not use."""
        request = self.request
        task = request.task
        plans_codes = codes or (plan and plan.infer_type == "llm_dit")
        uses = {
            "repainting_start": task in WINDOW_TASKS,
            "repainting_end": task in WINDOW_TASKS,
            "repaint_mode": task == "repaint",
            "repaint_strength": task == "repaint",
            "chunk_mask_mode": task in WINDOW_TASKS,
            "audio_cover_strength": task in COVER_TASKS or plans_codes,
            "cover_noise_strength": task in SOURCE_TASKS or plans_codes,
            "track_name": task in ("lego", "extract"),
            "track_classes": task == "complete",
            "infer_type": task == "text2music" or codes,
        }
        # These fields name the tracks for different tasks. If only the wrong one was sent, the task
        # would use any tracks.
        for name, meant in (("track_classes", "track_name"), ("track_name", "track_classes")):
            alone = getattr(request, name) and not getattr(request, meant)
            if alone and uses[meant]:
                self.found.refuse(name, f"{name} is not for {task}: send {meant}.")
        given = [name for name, used in uses.items() if name in self.sent and not used]
        if given:
            self.found.warn(f"Not used for {task}: {', '.join(given)}.")
        if task == "text2music" and plans_codes and own_instruction(request.instruction):
            self.found.warn("instruction is not used: audio codes have the cover's.")
        if request.use_random_seed and set(request.seed) != {RANDOM}:
            self.found.warn(
                "seed is not used: use_random_seed is true, which is its default; send "
                "use_random_seed: false with it."
            )
