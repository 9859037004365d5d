"""Which adapters a job uses: those that the request names, or the service's default."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.adapters.library import Adapter
from acestep_ray.api.request.engine_choice import one_of
from acestep_ray.api.request.validation import ValidationReport
from acestep_ray.decoder.protocol import AdapterUse, DecoderDescription
from acestep_ray.replicas.decoders import takes_adapter
from acestep_ray.replicas.deployed import Deployed

_MOST_NAMES = 30
"""Names that an error lists."""


@dataclass(frozen=True)
class OfferedAdapters:
    """What a request may use. ``known``: by name; ``default``: of requests that name none."""

    known: Mapping[str, Adapter] = field(default_factory=dict)
    default: tuple[AdapterUse, ...] = ()


NO_ADAPTERS = OfferedAdapters()


def adapters_for(
    wanted: tuple[AdapterUse, ...] | None,
    decoder: DecoderDescription,
    deployed: Deployed,
    offered: OfferedAdapters,
    found: ValidationReport,
) -> tuple[AdapterUse, ...]:
    """The job's adapters. ``wanted``: those of the request; None: it names none.

    Refuses those that do not exist or do not fit; of the default ones it only warns.
    """
    if wanted is None:
        return _default(decoder, offered, found)
    for use in wanted:
        if why := _unusable(use, decoder, offered):
            able = list(dict.fromkeys(d.model for d in deployed.decoders if _fits(use, d, offered)))
            if able:
                why = f"{why} It can be used with model {one_of(able)}."
            found.refuse("adapters", why, _legal(decoder, offered))
            return ()
    return wanted


def _default(
    decoder: DecoderDescription, offered: OfferedAdapters, found: ValidationReport
) -> tuple[AdapterUse, ...]:
    for use in offered.default:
        if why := _unusable(use, decoder, offered):
            found.warn(f"The service's default adapter is not used: {why}")
            return ()
        found.warn(
            f"The service's default adapter is used: {use.name}, scale {use.scale:g}; send "
            "adapters: [] for none."
        )
    return offered.default


def _unusable(use: AdapterUse, decoder: DecoderDescription, offered: OfferedAdapters) -> str:
    """Why the decoder cannot use it, as a sentence; empty: it can."""
    if not decoder.adapters:
        return f"{decoder.model} cannot use adapters."
    adapter = offered.known.get(use.name)
    if not offered.known:
        return (
            f"There is no adapter {use.name!r}: the service has none. ACESTEP_ADAPTERS names their "
            "folder."
        )
    if adapter is None:
        return f"There is no adapter {use.name!r}; GET /v1/adapters lists those there are."
    if adapter.problem:
        return f"The adapter {use.name} {adapter.problem}."
    if not takes_adapter(decoder, use.name):
        return f"The adapter {use.name} is not for {decoder.model}, by the service's settings."
    if not _fits(use, decoder, offered):
        return (
            f"The adapter {use.name} was made for another model than {decoder.model}: its layers "
            f"have {adapter.width} numbers, not {decoder.width}."
        )
    return ""


def _fits(use: AdapterUse, decoder: DecoderDescription, offered: OfferedAdapters) -> bool:
    adapter = offered.known.get(use.name)
    allowed = decoder.adapters and takes_adapter(decoder, use.name)
    return allowed and adapter is not None and adapter.fits(decoder.width)


def _legal(decoder: DecoderDescription, offered: OfferedAdapters) -> str:
    names = [n for n in offered.known if _fits(AdapterUse(name=n), decoder, offered)]
    if not names:
        return f"an empty list: there is no adapter for {decoder.model}"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"a list of {', '.join(names[:_MOST_NAMES])}{more}, each with its scale"
