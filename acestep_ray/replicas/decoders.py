"""Which decoders are deployed: one deployment per decoder model.

If the setting ``decoders`` is empty, there is one decoder, from the settings ``decoder``, ``dit``
and ``scaling.decoder``. It is called DECODER.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from acestep_ray.decoder.protocol import DecodeParameters, DecoderDescription, DecoderError
from acestep_ray.settings import Settings
from acestep_ray.settings.scaling import DecoderModel, Stage

DECODER = "Decoder"
"""Name of the only decoder, and prefix of the names of several."""


@dataclass(frozen=True)
class DecoderSpec:
    """One decoder. ``settings``: the service's settings, with this decoder's engine and model.
    ``adapters``: names of the adapters that are for it, with wildcards."""

    name: str
    stage: Stage
    settings: Settings
    adapters: tuple[str, ...] = ("*",)


def decoders_of(settings: Settings) -> tuple[DecoderSpec, ...]:
    """Every decoder of the application; the first is the default."""
    if not settings.decoders:
        return (DecoderSpec(DECODER, settings.scaling.decoder, settings),)
    return tuple(
        DecoderSpec(
            name_of(one), _with_gpus(one, settings), _settings_of(one, settings), one.adapters
        )
        for one in settings.decoders
    )


def decoder_for(request: DecodeParameters, specs: Sequence[DecoderSpec]) -> str:
    """Name of the decoder that does this job: the one chosen at submit, or, if that one is no
    longer deployed, the first that serves the model. Raises DecoderError if none does."""
    if len(specs) == 1:
        return specs[0].name  # its engine refuses another model
    names = [spec.name for spec in specs]
    if request.decoder in names:
        return request.decoder
    for spec in specs:
        if request.model in ("", spec.settings.dit.model):
            return spec.name
    deployed = ", ".join(spec.settings.dit.model for spec in specs)
    raise DecoderError(f"{request.model} is no longer deployed; there are: {deployed}.")


def name_of(decoder: DecoderModel) -> str:
    """Name of the deployment of an entry of ``decoders``."""
    return f"{DECODER}-{decoder.model}"


def is_decoder(deployment: str) -> bool:
    """Whether this is the name of a decoder's deployment."""
    return deployment == DECODER or deployment.startswith(f"{DECODER}-")


def takes_adapter(decoder: DecoderDescription, name: str) -> bool:
    """Whether the settings of this decoder allow an adapter of this name."""
    return any(fnmatchcase(name, pattern) for pattern in decoder.adapter_names)


def _with_gpus(decoder: DecoderModel, settings: Settings) -> Stage:
    if decoder.num_gpus is not None:
        return decoder
    return decoder.model_copy(update={"num_gpus": settings.scaling.decoder.num_gpus})


def _settings_of(decoder: DecoderModel, settings: Settings) -> Settings:
    dit = settings.dit.model_copy(update={"model": decoder.model})
    return settings.model_copy(update={"decoder": decoder.backend, "dit": dit})
