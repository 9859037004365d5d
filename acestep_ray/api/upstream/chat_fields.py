"""The fields of a chat completion that have other names or places than in POST /release_task."""

from collections.abc import Mapping

from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.request.aliases import ALIASES, Resolved, resolve
from acestep_ray.api.request.validation import shown_names
from acestep_ray.api.upstream.lenient_fields import (
    CANONICAL,
    is_nothing,
    read_fields,
    read_flag,
    read_object,
)

_UNUSED = frozenset(
    (
        *("messages", "audio_config", "stream", "stream_options", "modalities", "audio", "n"),
        *("max_tokens", "max_completion_tokens", "stop", "user", "metadata", "store", "tools"),
        *("tool_choice", "response_format", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("logprobs", "top_logprobs", "reasoning", "provider", "transforms", "models", BODY_KEY),
    )
)
"""Fields of chat completions that mean nothing for a song, or that are read in another way."""
_RENAMED = {"temperature": "lm_temperature", "top_p": "lm_top_p", "top_k": "lm_top_k"}
_CONFIG_NAMES = {"duration": "audio_duration", "format": "audio_format"}
_MODEL_PREFIX = "acestep/"


class ChatFields:
    """``task``: the fields for POST /release_task. ``warnings``: about those that are not used."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.warnings: list[str] = []
        self.task: dict[str, object] = {
            name: value
            for name, value in fields.items()
            if name not in _UNUSED and name not in _RENAMED and not is_nothing(name, value)
        }
        # A field's own name has priority over the others, as everywhere.
        self._came = {CANONICAL.get(name, name): name for name in reversed(self.task)}
        self._came |= {name: name for name in self._came if name in self.task}
        for name, own in _RENAMED.items():
            self._add(name, own, fields.get(name))
        self._read_config(fields.get("audio_config"))
        self._read_audio(fields.get("audio"))
        self._add("n", "batch_size", fields.get("n"), self._sent())
        self._read_models()
        self._warn_of_metadata(fields.get("metadata"))
        sent = self._sent()
        if "batch_size" not in sent.values:
            self.task["batch_size"] = 1
        if "seed" in sent.values and "use_random_seed" not in sent.values:
            # A seed that is sent is used; in POST /release_task that needs another field.
            self.task["use_random_seed"] = False

    def _sent(self) -> Resolved:
        """The fields by their own names, nested ones too, as POST /release_task reads them."""
        return resolve(read_fields(self.task).fields, form=False)

    def _add(self, path: str, name: str, value: object, sent: Resolved | None = None) -> None:
        """Use the value of ``path`` as that of the field ``name``, if that field did not come; with
        ``sent`` not in a nested object either."""
        own = CANONICAL.get(name, name)
        if is_nothing(own, value):
            return
        if own in self._came:
            used, other = self._came[own], self.task.get(self._came[own])
        elif sent is not None and own in sent.values:
            used, other = sent.sent_as[own], sent.values[own]
        else:
            self.task[name] = value
            self._came[own] = name
            return
        if isinstance(value, list | dict) or _word(value) != _word(other):
            self.warnings.append(
                f"{shown_names([path])} is not used: {shown_names([used])} came too."
            )

    def _read_config(self, value: object) -> None:
        config = read_object(value)
        if config is None:
            self.warnings.append("audio_config is not an object or its JSON text, and not used.")
        for name, one in (config or {}).items():
            self._add(f"audio_config.{name}", _CONFIG_NAMES.get(name, name), one)

    def _read_audio(self, value: object) -> None:
        """The format that OpenAI's clients ask for."""
        audio = read_object(value)
        if audio is None:
            self.warnings.append("audio is not an object or its JSON text, and not used.")
        audio = audio or {}
        self._add("audio.format", "audio_format", audio.get("format"), self._sent())
        others = [f"audio.{name}" for name, one in audio.items() if not is_nothing(name, one)]
        if others := [name for name in others if name != "audio.format"]:
            self.warnings.append(f"Not used for a song: {shown_names(others)}.")

    def _read_models(self) -> None:
        """Models are named as GET /v1/models names them, or without the prefix."""
        for name in ("model", *ALIASES["model"]):
            if isinstance(model := self.task.get(name), str):
                self.task[name] = model.strip().removeprefix(_MODEL_PREFIX)

    def _warn_of_metadata(self, value: object) -> None:
        """A completion's metadata are notes of its client; a song's are named otherwise here."""
        if names := [name for name in read_object(value) or {} if name in CANONICAL]:
            names = [f"metadata.{name}" for name in names]
            self.warnings.append(f"Not used: {shown_names(names)}. Send them in audio_config.")


def _word(value: object) -> str:
    return str(value).strip().lower() if isinstance(value, str | int | float) else ""


def wants_stream(value: object, warnings: list[str]) -> bool:
    """Whether the response is to be streamed. A value that is no boolean is a warning."""
    asked = False if is_nothing("stream", value) else read_flag(value)
    if asked is None:
        warnings.append("stream must be true or false: the response is not streamed.")
    return bool(asked)
