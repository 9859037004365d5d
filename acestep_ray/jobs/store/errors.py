"""How job store operations fail: by their own rules, or with the database."""

from acestep_ray.errors import ConfigurationError


class StoreError(Exception):
    """An operation failed by its own rules; the other operations of its batch are applied."""


class JobNotFound(StoreError):
    """There was never such a job, or its id is no longer kept."""


class JobExpired(StoreError):
    """There was such a job; it was deleted or has expired."""


class AlreadyEnded(StoreError):
    """The job ended before it could be cancelled."""


class QueueFull(StoreError):
    """As many jobs wait as the limit allows."""


class IdempotencyMismatch(StoreError):
    """The idempotency key was used with another body."""


class StoreUnavailable(Exception):
    """The database cannot be used now (locked, disk full, unreachable). The same batch may be
    applied again, whether it was applied or not. The message is one sentence."""


class SubmitInDoubt(StoreUnavailable):
    """It is unknown whether the store has the job that was submitted."""


class StoreLocked(StoreUnavailable):
    """Another process owns the database."""


class StoreFull(StoreUnavailable):
    """There is no room for an operation that needs some; others may still be applied."""


class StoreUnsuitable(ConfigurationError):
    """The database cannot be used as it is set up. The message names the cure in one sentence."""


class SchemaTooNew(StoreUnsuitable):
    """The database was written by a later release."""
