"""``POST /format_input``, ``/v1/create_sample``, ``/v1/understand`` and ``/create_random_sample``:
texts of songs.
"""

import logging
import random
from typing import Literal

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.hang_up import while_connected
from acestep_ray.api.middleware.authentication import key_is_in_body
from acestep_ray.api.problems import invalid_values
from acestep_ray.api.request.engine_choice import NoSuchModel, choose_planner
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.request.validation import field_error
from acestep_ray.api.song_writer import NoPlanner
from acestep_ray.api.upstream.envelope import Envelope, LateEnvelope
from acestep_ray.api.upstream.example_songs import EXAMPLE_SONGS
from acestep_ray.api.upstream.keyed_body import read_keyed_body
from acestep_ray.api.upstream.song_fields import NAMES, SongFields, read_song, write_request
from acestep_ray.api.upstream.used_values import used
from acestep_ray.api.upstream.views import ExampleDescriptionView, ExampleSongView, SongTextView
from acestep_ray.planner.protocol import PlannerError, SongText
from acestep_ray.replicas.planners import planners_of

logger = logging.getLogger(__name__)

router = APIRouter(tags=["upstream"])

_NO_STORE = "no-store"
_SAMPLE_TYPES = ("sample_type", "sampleType")


@router.post(
    "/format_input",
    operation_id="format_input",
    summary="Rewrite caption and lyrics (upstream's API)",
)
async def format_input(
    request: Request, response: Response, context: ContextDep
) -> LateEnvelope[SongTextView]:
    """Caption and lyrics in the form that suits the models, and metadata that fit them. Metadata
    that were sent are kept."""
    return await _write("format", request, response, context)


@router.post(
    "/v1/create_sample",
    operation_id="create_sample",
    summary="Write a song from a description (upstream's API)",
)
async def create_sample(
    request: Request, response: Response, context: ContextDep
) -> LateEnvelope[SongTextView]:
    """Caption, lyrics and metadata of a new song. Without a description the language model invents
    one."""
    return await _write("sample", request, response, context)


@router.post(
    "/v1/understand",
    operation_id="understand",
    summary="Describe a song from its audio codes",
)
async def understand(
    request: Request, response: Response, context: ContextDep
) -> LateEnvelope[SongTextView]:
    """Caption, lyrics and metadata of the music that the audio codes stand for, as the language
    model understands them. Upstream's server has this only without HTTP."""
    return await _write("understand", request, response, context)


@router.post(
    "/create_random_sample",
    operation_id="create_random_sample",
    summary="An example song (upstream's API)",
)
async def create_random_sample(
    request: Request, response: Response, context: ContextDep
) -> Envelope[ExampleDescriptionView | ExampleSongView]:
    """One of the service's own examples. ``sample_type`` simple_mode, the default: a description
    for POST /v1/create_sample; anything else: the text of a song."""
    fields = await _fields(request, context)
    sent = next((str(fields[name]) for name in _SAMPLE_TYPES if fields.get(name)), "simple_mode")
    song = random.choice(EXAMPLE_SONGS)
    response.headers["Cache-Control"] = _NO_STORE
    if sent.strip().lower() == "simple_mode":
        return Envelope(
            data=ExampleDescriptionView(
                description=song.description,
                instrumental=song.instrumental,
                vocal_language=song.language,
            )
        )
    return Envelope(
        data=ExampleSongView(
            caption=song.caption,
            lyrics=song.lyrics,
            bpm=song.bpm,
            key_scale=song.key_scale,
            keyscale=song.key_scale,
            time_signature=song.time_signature,
            timesignature=song.time_signature,
            duration=song.duration,
            vocal_language=song.language,
            language=song.language,
        )
    )


async def _write(
    kind: Literal["sample", "format", "understand"],
    request: Request,
    response: Response,
    context: AppContext,
) -> LateEnvelope[SongTextView]:
    limits = context.settings.limits
    song = read_song(await _fields(request, context), limits)
    if kind == "understand" and len(song.request.codes) != 1:
        takes = len(song.request.codes)
        problem = (
            f"audio_code_string must be the audio codes of one take; got those of {takes}."
            if takes
            else "audio_code_string is missing: send the audio codes of one take, as the result of "
            "a job with thinking has them."
        )
        raise invalid_values([field_error("audio_code_string", problem, limits)])
    planner, model = await _choose(song, context)
    order = write_request(kind, song, model, limits)
    response.headers["Cache-Control"] = _NO_STORE
    try:
        text = await while_connected(request, context.direct.write(planner, order))
    except (PlannerError, NoPlanner) as error:
        logger.warning("%s: %s", request.url.path, error)
        return LateEnvelope(data=None, code=500, error=str(error))
    return LateEnvelope(data=_view(text, song))


async def _fields(request: Request, context: AppContext) -> dict[str, object]:
    """The fields that were sent. A body may be missing, unless it must hold the key."""
    headers = request.headers
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if empty and not key_is_in_body(request):
        return {}
    names = NAMES | frozenset(_SAMPLE_TYPES)
    with request_folder() as folder:
        return dict((await read_keyed_body(request, context, folder, names)).fields)


async def _choose(song: SongFields, context: AppContext) -> tuple[str, str]:
    """Names of the planner's deployment and of the language model; "" is the planner's own."""
    deployed = await context.service.deployed()
    if not deployed.planners:
        # Nothing is known of the planners before the first one was up.
        return planners_of(context.settings)[0].name, ""
    backend = song.request.lm_backend if "lm_backend" in song.sent else None
    try:
        planner, model = choose_planner(deployed, song.request.lm_model_path, backend)
    except NoSuchModel as error:
        planner, model = choose_planner(deployed, None, backend)
        song.warnings.append(f"{error} {used(model or 'The first one')}")
    return planner.deployment, model


def _view(text: SongText, song: SongFields) -> SongTextView:
    metadata = text.metadata
    return SongTextView(
        caption=text.caption,
        lyrics=text.lyrics,
        bpm=metadata.bpm,
        key_scale=metadata.keyscale,
        keyscale=metadata.keyscale,
        time_signature=metadata.timesignature,
        timesignature=metadata.timesignature,
        duration=metadata.duration,
        vocal_language=metadata.language,
        lm_model=text.model,
        mock=text.mock,
        warnings=song.warnings,
    )
