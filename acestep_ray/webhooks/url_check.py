"""Whether a request may name a URL for its webhook."""

import logging

from acestep_ray.settings.webhooks import Webhooks
from acestep_ray.webhooks.resolver import AddressRefused, LookupFailed, Resolver
from acestep_ray.webhooks.target import target_of

logger = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""So long a request waits for the name service. Every try to send a message checks again."""


class UrlCheck:
    """Refuses what could never be called. One per process."""

    def __init__(self, settings: Webhooks) -> None:
        self._signs = bool(settings.secrets)
        self._resolver = Resolver(settings.allowed_networks)

    async def refusal(self, url: str) -> str:
        """Why there can be no messages to a URL, as a sentence that completes "webhook_url"; empty
        if there can. ``url``: of a Target."""
        if not self._signs:
            return (
                "cannot be used: the server has no secret to sign messages with; its setting "
                "ACESTEP_WEBHOOKS__SECRET is one (docs/events.md)."
            )
        target = target_of(url)
        try:
            await self._resolver.addresses(target.host, target.port, LOOKUP_SECONDS)
        except AddressRefused as error:
            logger.info("A webhook was refused: %s", error)
            return (
                "must have a public address: its host has a private, loopback or other special "
                "one, which the server does not call unless its setting ACESTEP_WEBHOOKS__ALLOW "
                "has it."
            )
        except LookupFailed as error:
            if error.unknown:
                return "must have a host that exists: the name service does not know this one."
        return ""
