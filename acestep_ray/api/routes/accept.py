"""From a body that was read to a queued job; the native route and upstream's share it."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.middleware.authentication import key_digest
from acestep_ray.api.problems import FieldError, Problem, ProblemCode, invalid_values
from acestep_ray.api.request.adapter_choice import NO_ADAPTERS, OfferedAdapters
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.folder import Folder
from acestep_ray.api.request.job_rules import JobDraft, admit
from acestep_ray.api.request.source_audio import SourceFile, check_length
from acestep_ray.api.request.validation import ValidatedRequest, ValidationReport
from acestep_ray.api.routes.submit import OnHangUp, submit
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.decoder.protocol import AdapterUse
from acestep_ray.jobs.engine_requests import plan_request
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.records import Submitted
from acestep_ray.replicas.deployed import Deployed


async def queue_job(
    draft: JobDraft,
    checked: ValidatedRequest,
    body: Body,
    folder: Folder,
    context: AppContext,
    *,
    idempotency_key: str | None = None,
    on_hang_up: OnHangUp | None = None,
) -> tuple[Submitted, JobSpec]:
    """Read the audio of a checked request, and queue its job. Returns what was queued, and the
    job's spec.

    ``folder`` holds the request's files; ``on_hang_up`` is as in ``submit``. Raises Problem (422,
    503) and what ``submit`` raises.
    """
    await _refuse_what_cannot_be_planned(draft, context)
    sources = await _bring_in(draft, checked, body, folder, context)
    found_in_audio = [warning for one in sources for warning in one.warnings]
    spec = draft.spec.model_copy(update={"warnings": (*draft.spec.warnings, *found_in_audio)})
    submitted = await submit(
        str(uuid4()),
        spec,
        sources,
        context,
        webhook=draft.webhook,
        owner=key_digest(context.settings),
        idempotency_key=idempotency_key,
        fingerprint=body.fingerprint,
        on_hang_up=on_hang_up,
    )
    return submitted, spec


async def _refuse_what_cannot_be_planned(draft: JobDraft, context: AppContext) -> None:
    """Raise Problem 422 if prompt and codes of a song are longer than the language model's
    context."""
    if refusal := await plan_refusal(draft.spec, context):
        field = "sample_query" if draft.spec.from_description else "lyrics"
        raise invalid_values([FieldError(field, refusal)])


async def plan_refusal(spec: JobSpec, context: AppContext) -> str:
    """Why the song cannot be planned, as a sentence; empty if it can, or if no plan is needed. The
    mock has no limit."""
    if spec.plan is None or spec.plan.backend == "mock":
        return ""
    request = plan_request("", 0, spec, context.settings)
    return await asyncio.to_thread(context.plans.refusal, request)


async def admit_request(
    checked: ValidatedRequest, body: Body, context: AppContext
) -> tuple[JobDraft, ValidationReport]:
    """Apply the rules that need several fields, or what is deployed, and check where the webhook
    leads.

    Raises Problem 422 if a value is wrong with any engine, else 503 if an engine that the request
    needs is not ready yet.
    """
    deployed = await deployed_for(checked, context)
    try:
        files = frozenset(body.files)
        adapters = await _offered_adapters(checked, context)
        draft, found = admit(
            checked, context.settings, deployed, files, body.unknown_files, adapters=adapters
        )
    except (Problem, StorageError):
        _refuse_wrong_values(checked)
        raise
    if draft.webhook and (refusal := await context.webhooks.refusal(draft.webhook.url)):
        found.refuse("webhook_url", f"webhook_url {refusal}")
    return draft, found


async def _offered_adapters(checked: ValidatedRequest, context: AppContext) -> OfferedAdapters:
    """The adapters of which the request may use some. Raises StorageError."""
    if context.adapters is None or checked.request.adapters == ():
        return NO_ADAPTERS
    default: tuple[AdapterUse, ...] = ()
    if checked.request.adapters is None:
        used = (await context.default_adapter.get()).used
        if used is None:
            return NO_ADAPTERS
        default = (AdapterUse(name=used.name, scale=used.scale),)
    try:
        return OfferedAdapters(await context.adapters.all(), default)
    except StorageError:
        if not default:
            raise
        return OfferedAdapters({}, default)


async def deployed_for(checked: ValidatedRequest, context: AppContext) -> Deployed:
    """What is deployed. If that cannot be found out: raises Problem 422 if a value is wrong with
    any engine, else what JobService.deployed raises."""
    try:
        return await context.service.deployed(at_once=True)
    except Exception:
        _refuse_wrong_values(checked)
        raise


def _refuse_wrong_values(checked: ValidatedRequest) -> None:
    """Raise Problem 422 if values are wrong with any engine, instead of an error about engines."""
    if checked.errors:
        raise invalid_values(checked.errors) from None


async def _bring_in(
    draft: JobDraft, checked: ValidatedRequest, body: Body, folder: Folder, context: AppContext
) -> Sequence[SourceFile]:
    """Read all audio that was sent, and return the files that the job needs.

    Files that are not needed are checked too: a bad value is reported even if it would not be used.
    """
    errors: list[FieldError] = []
    sources: list[SourceFile] = []
    for role, field, wanted in (
        ("source", "src_audio", draft.wants_source),
        ("reference", "reference_audio", draft.wants_reference),
    ):
        name = field if field in body.files else f"{field}_path"
        if name != field and not getattr(checked.request, name):
            continue
        one = await context.sources.bring_in(role, field, body, checked.request, folder)
        if isinstance(one, FieldError):
            errors.append(one)
        elif wanted:
            sources.append(one)
            seconds = one.audio.samples / one.audio.sample_rate
            limits = context.settings.limits
            if role == "source" and (
                wrong := check_length(draft.spec.decode, seconds, limits, one.name)
            ):
                errors.append(wrong)
    if errors:
        window_only = all(error.field.startswith("repainting_") for error in errors)
        raise invalid_values(
            errors, code=ProblemCode.INVALID_VALUE if window_only else ProblemCode.INVALID_AUDIO
        )
    return sources
