"""The OpenAPI document: what FastAPI finds in the routes, and what it cannot find there.

``python -m acestep_ray.api.openapi > docs/openapi.json`` writes it.
"""

import json
import re
import sys
from copy import deepcopy
from typing import Any

from fastapi.openapi.utils import get_openapi

from acestep_ray import __version__
from acestep_ray.api.middleware.authentication import OPEN_PATHS
from acestep_ray.api.openapi_events import describe_events
from acestep_ray.api.problems import MEDIA_TYPE, ProblemCode
from acestep_ray.api.request.aliases import NESTED
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.unsupported_fields import REFUSED
from acestep_ray.api.request.validation import legal_values
from acestep_ray.api.response_models import FieldErrorView, ProblemView
from acestep_ray.api.routes import ROUTERS
from acestep_ray.api.upstream.routers import UPSTREAM_ROUTERS
from acestep_ray.formats import FORMATS
from acestep_ray.settings import Settings

TITLE = "acestep-ray"

_ABOUT = (
    "Makes music with ACE-Step 1.5. Submit a job, follow its events or poll it until it succeeded "
    "or failed, fetch its audio. Errors are RFC 9457 problems with a stable code."
)
_PROBLEMS = {
    400: "The body cannot be read: {codes}.",
    401: "The API key is missing or wrong: {codes}.",
    403: "Not allowed: {codes}.",
    404: "There is no such job or file: {codes}.",
    409: "The job has ended otherwise: {codes}.",
    410: "The job was deleted, or its time is over: {codes}.",
    413: "The body is too large: {codes}.",
    415: "The Content-Type is not supported: {codes}.",
    416: "The range lies outside the file: {codes}.",
    422: "Values are wrong, one entry a field: {codes}.",
    429: "The queue is full: {codes}. Retry-After says when to try again.",
    500: "The server failed unexpectedly: {codes}.",
    503: "Try again in a few seconds: {codes}.",
    504: "The job goes on: {codes}. Location says where to look at it.",
}
_MAY_FAIL = {
    "generate": (400, 413, 415, 422, 429, 503),
    "get_job": (404, 410, 422, 503),
    "job_events": (404, 410, 503),
    "events": (503,),
    "list_jobs": (422, 503),
    "cancel_job": (404, 409, 410, 503),
    "delete_job": (404, 410, 503),
    "list_deliveries": (404, 410, 503),
    "get_audio": (404, 410, 416, 503),
    "head_audio": (404, 410, 503),
    "ready": (503,),
    "models": (503,),
    "stats": (503,),
    "adapters": (503,),
    "health": (),
    "release_task": (400, 413, 415, 422, 429, 503),
    "query_result": (400, 413, 415, 503),
    "get_take_audio": (403, 404, 410, 416, 422, 503),
    "model_inventory": (503,),
    "init_model": (400, 413, 415, 503),
    "lora_status": (503,),
    "lora_load": (400, 413, 415, 422, 503),
    "lora_unload": (400, 413, 415, 503),
    "lora_toggle": (400, 413, 415, 422, 503),
    "lora_scale": (400, 413, 415, 422, 503),
    "head_take_audio": (403, 404, 410, 422, 503),
    "format_input": (400, 413, 415, 422, 429, 503),
    "create_sample": (400, 413, 415, 422, 429, 503),
    "understand": (400, 413, 415, 422, 429, 503),
    "create_random_sample": (400, 413, 415),
    "chat_completions": (400, 404, 413, 415, 422, 429, 503, 504),
}
_UPSTREAM_CODES = frozenset(
    {ProblemCode.PATH_REFUSED, ProblemCode.NOT_DEPLOYED, ProblemCode.OUTSIDE_AUDIO}
)
"""Codes that only the operations of upstream's API return."""
_CODES_OF = {
    ProblemCode.PLANNER_BUSY: ("format_input", "create_sample", "understand"),
    ProblemCode.JOB_FAILED: ("chat_completions",),
    ProblemCode.STILL_RUNNING: ("chat_completions",),
    ProblemCode.TOO_MANY_STREAMS: ("job_events", "events"),
}
"""Codes that only these operations return."""
_BUSY = "The language model is busy: {codes}. Retry-After says when to try again."
_NOT_THERE = "A take is no longer in storage: {codes}."
_OTHER_PROBLEMS = {
    ("format_input", 429): (_BUSY, (ProblemCode.PLANNER_BUSY,)),
    ("create_sample", 429): (_BUSY, (ProblemCode.PLANNER_BUSY,)),
    ("understand", 429): (_BUSY, (ProblemCode.PLANNER_BUSY,)),
    ("chat_completions", 404): (_NOT_THERE, (ProblemCode.AUDIO_NOT_FOUND,)),
}
"""What a status of an operation means if it is not what it usually means."""
_FILES = {
    "src_audio": "Audio to repaint or cover; wins over src_audio_path.",
    "reference_audio": "Audio whose sound the takes follow; wins over reference_audio_path.",
}
_METAS = {
    "bpm": 120,
    "duration": 30.0,
    "keyscale": "C major",
    "timesignature": "4",
    "language": "en",
}
_REFUSED = {
    "analysis_only": ("boolean", "Have the LM write metadata, and make no song."),
    "full_analysis_only": ("boolean", "Tell what is in a source, and make no song."),
    "extract_codes_only": ("boolean", "Make audio codes of a source, and no song."),
}
_FORM_ABOUT = (
    "A request for music. Everything has a default, which an empty value stands for too, and the "
    "texts null, undefined and None; a list is its JSON text, or the field several times; unknown "
    "fields are reported in ``warnings``."
)
_UPSTREAM_BODIES: dict[str, dict[str, Any]] = {
    "/release_task": {"prompt": "upbeat pop song", "lyrics": "Hello world", "thinking": True},
    "/v1/init": {"model": "acestep-v15-turbo", "slot": 1},
    "/query_result": {"task_id_list": ["550e8400-e29b-41d4-a716-446655440000"]},
    "/format_input": {"prompt": "pop", "lyrics": "Hello world", "param_obj": {"bpm": 120}},
    "/v1/create_sample": {"query": "a calm song about the sea", "instrumental": False},
    "/v1/understand": {"audio_code_string": "<|audio_code_1024|><|audio_code_77|>"},
    "/create_random_sample": {"sample_type": "simple_mode"},
    "/v1/chat/completions": {
        "model": "acestep/acestep-v15-turbo",
        "messages": [{"role": "user", "content": "<prompt>upbeat pop song</prompt>"}],
        "audio_config": {"duration": 30, "format": "mp3"},
        "stream": True,
    },
}
_JSON_ONLY = frozenset({"/v1/chat/completions"})
_EXAMPLE = {"caption": "upbeat pop song", "lyrics": "Hello world", "inference_steps": 16}
_FORM_EXAMPLE = {"caption": "remix this song", "task_type": "repaint"}


def openapi_document(settings: Settings) -> dict[str, Any]:
    """The whole document. It depends only on the code and on the limits in the settings."""
    document = get_openapi(
        title=TITLE,
        version=__version__,
        description=_ABOUT,
        routes=[route for router in (*ROUTERS, *UPSTREAM_ROUTERS) for route in router.routes],
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for view in (ProblemView, FieldErrorView):
        schema = view.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[view.__name__] = schema
    describe_events(document)
    fill_examples(schemas)
    schemas |= _request_schemas(settings)
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Where the service has a key."}
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            changes = method not in ("get", "head")
            _finish(operation, open_path=path in OPEN_PATHS, changes=changes)
    submit = document["paths"]["/v1/music/generate"]["post"]
    submit["requestBody"] = _request_body()
    submit["responses"]["200"]["headers"] = {
        "Location": _header("Where to poll the job."),
        "Retry-After": _header("Seconds until the first look is worth it."),
        "Idempotency-Replayed": _header("true where the key named an earlier job."),
    }
    document["paths"]["/release_task"]["post"]["responses"]["200"]["headers"] = {
        "Idempotency-Replayed": _header(
            "true where the same client sent this task before, and did not get the answer."
        ),
    }
    for path in ("/v1/audio/{job_id}/{name}", "/v1/audio"):
        _describe_audio(document["paths"][path])
    for path, example in _UPSTREAM_BODIES.items():
        body = _free_body(example, json_only=path in _JSON_ONLY)
        document["paths"][path]["post"]["requestBody"] = body
    _describe_stream(document["paths"]["/v1/chat/completions"]["post"])
    return document


def _finish(operation: dict[str, Any], *, open_path: bool, changes: bool) -> None:
    """Add the problems of an operation, and that it needs the key."""
    responses = operation["responses"]
    responses.pop("422", None)
    upstream = operation["tags"] == ["upstream"]
    statuses = {*_MAY_FAIL[operation["operationId"]], 500}
    statuses |= (set() if open_path else {401}) | ({403} if changes else set())
    for status in sorted(statuses):
        name = operation["operationId"]
        usual = (_PROBLEMS[status], _codes(status, name, upstream=upstream, changes=changes))
        about, codes = _OTHER_PROBLEMS.get((name, status), usual)
        responses[str(status)] = {
            "description": about.format(codes=", ".join(codes)),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
        }
    if not open_path:
        operation["security"] = [{"key": []}, {}]


def _codes(
    status: int, operation: str, *, upstream: bool, changes: bool
) -> tuple[ProblemCode, ...]:
    """The codes of a status that an operation can return; NOT_FOUND is only for unknown routes."""
    others = {ProblemCode.NOT_FOUND} | (frozenset() if upstream else _UPSTREAM_CODES)
    others |= {ProblemCode.OUTSIDE_AUDIO if changes else ProblemCode.FOREIGN_ORIGIN}
    others |= {code for code, operations in _CODES_OF.items() if operation not in operations}
    return tuple(c for c in ProblemCode if c.status == status and c not in others)


def _request_schemas(settings: Settings) -> dict[str, Any]:
    """One schema per type of body, all three from the same model."""
    json_schema = GenerateRequest.model_json_schema()
    json_schema.pop("additionalProperties")
    for name, field in json_schema["properties"].items():
        del field["x-legal"]
        field["description"] += f" Legal: {legal_values(name, settings.limits)}."
    json_schema["properties"] |= _other_fields(settings)
    form = deepcopy(json_schema) | {"title": "GenerateForm", "description": _FORM_ABOUT}
    form["properties"] = {n: _form_field(f) for n, f in form["properties"].items()}
    multipart = deepcopy(form) | {"title": "GenerateMultipart"}
    for name, about in _FILES.items():
        multipart["properties"][name] = {
            "type": "string",
            "format": "binary",
            "title": name.replace("_", " ").title(),
            "description": f"{about} Any format that libsndfile reads.",
            "examples": ["song.mp3"],
        }
    return {"GenerateRequest": json_schema, "GenerateForm": form, "GenerateMultipart": multipart}


def _other_fields(settings: Settings) -> dict[str, Any]:
    """Fields that clients of a later version send and that GenerateRequest does not have."""
    fields: dict[str, Any] = {}
    for name in NESTED:
        fields[name] = {
            "anyOf": [{"type": "object"}, {"type": "string"}],
            "description": 'Any fields in one object, such as a result\'s metas; "N/A" is unknown. '
            "A field that is sent by itself wins.",
            "examples": [_METAS],
        }
    for name, (kind, about) in _REFUSED.items():
        fields[name] = {
            "type": kind,
            "description": f"{about} Not served yet: it is refused.",
            "examples": ["" if kind == "string" else False],
        }
    for name in (*NESTED, *REFUSED):
        fields[name]["title"] = name.replace("_", " ").title()
        fields[name]["description"] += f" Legal: {legal_values(name, settings.limits)}."
    return fields


def _empty_for_null(words: str) -> str:
    """The words for a form: a form has no null; an empty value means it."""
    words = re.sub(r"(^|\. )null\b", r"\1Empty", words)
    return re.sub(r"\bnull\b", "empty", words)


def _form_field(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field in a form, where every value is a text: of several types, one that a
    text can express."""
    field["description"] = _empty_for_null(field["description"])
    if "anyOf" not in field:
        return field
    kinds = [kind for kind in field.pop("anyOf") if kind.get("type") != "null"]
    texts = [kind for kind in kinds if kind.get("type") == "string"]
    field |= texts[0] if texts else kinds[0]
    default = field.pop("default", None)
    if isinstance(default, list):
        default = ",".join(map(str, default))
    if default is not None:
        field["default"] = str(default) if texts else default
    field["examples"] = [
        json.dumps(e) if isinstance(e, dict) else str(e) if texts else e for e in field["examples"]
    ]
    return field


def _request_body() -> dict[str, Any]:
    def content(schema: str, example: dict[str, Any]) -> dict[str, Any]:
        return {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}

    return {
        "required": True,
        "content": {
            "application/json": content("GenerateRequest", _EXAMPLE),
            "application/x-www-form-urlencoded": content("GenerateForm", _EXAMPLE),
            "multipart/form-data": content("GenerateMultipart", _FORM_EXAMPLE),
        },
    }


def _free_body(example: dict[str, Any], *, json_only: bool) -> dict[str, Any]:
    """A body that is read leniently: docs/upstream.md lists its fields."""
    media = {
        "schema": {
            "type": "object",
            "description": "Fields of upstream's API; docs/upstream.md lists them.",
        },
        "example": example,
    }
    types = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {"required": True, "content": dict.fromkeys(types[:1] if json_only else types, media)}


def _describe_stream(operation: dict[str, Any]) -> None:
    """The other form of a chat completion."""
    answer = operation["responses"]["200"]
    answer["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "With stream: chunks (chat.completion.chunk), and [DONE] at the end.",
        }
    }
    answer["headers"] = {"Location": _header("The job.")}


def _describe_audio(operations: dict[str, Any]) -> None:
    binary = {"schema": {"type": "string", "format": "binary"}}
    types = {file_type.media_type: binary for file_type in FORMATS.values()}
    headers = {
        "ETag": _header("Digest of the file."),
        "Accept-Ranges": _header("bytes"),
        "Content-Disposition": _header("inline, with a file name made of the caption."),
    }
    for method, operation in operations.items():
        for parameter in operation["parameters"]:
            if parameter["name"] == "name":
                parameter["description"] = "Number of the take, from 1, and its file type."
                parameter["schema"]["examples"] = ["1.mp3"]
        responses = operation["responses"]
        responses["200"] = {"description": "The take.", "headers": headers}
        responses["307"] = {
            "description": "The take is at Location, signed for a while, where the service leaves "
            "downloads to its object store.",
            "headers": {"Location": _header("For this method only; it needs no API key.")},
        }
        responses["304"] = {"description": "The copy there is, is this version."}
        if method == "get":
            responses["200"]["content"] = types
            responses["206"] = {
                "description": "The part asked for.",
                "headers": headers | {"Content-Range": _header("Which part it is.")},
                "content": types,
            }


def _header(about: str) -> dict[str, Any]:
    return {"description": about, "schema": {"type": "string"}}


_REF = "#/components/schemas/"


def fill_examples(schemas: dict[str, Any]) -> None:
    """Give every property that refers to a schema the first example of each of its fields."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            if "examples" not in field and (example := _example(field, schemas)) is not None:
                field["examples"] = [example]


def _example(field: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example of a field, or None if none is found."""
    if "examples" in field:
        return field["examples"][0]
    if "$ref" in field:
        of = schemas[field["$ref"].removeprefix(_REF)].get("properties", {})
        return {name: _example(inner, schemas) for name, inner in of.items()} or None
    if "items" in field:
        item = _example(field["items"], schemas)
        return None if item is None else [item]
    for kind in field.get("anyOf", ()):
        if (example := _example(kind, schemas)) is not None:
            return example
    return None


if __name__ == "__main__":
    json.dump(openapi_document(Settings()), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
