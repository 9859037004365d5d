"""Opens the store that the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from acestep_ray.jobs.store.protocol import JobStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings
from acestep_ray.settings.store_url import store_kind


def open_store(settings: Settings) -> JobStore:
    """The store at ``settings.store_url``. Raises StoreUnavailable, StoreUnsuitable."""
    url = settings.store_url
    if store_kind(url) == "sqlite":
        return SqliteStore(sqlite_file(url))
    # Every process of a service imports this module, and Redis's client takes a tenth as long as
    # all else that they import.
    from acestep_ray.jobs.store.redis import RedisStore  # noqa: PLC0415

    password = settings.store_password
    return RedisStore(url, password.get_secret_value() if password else None)


def sqlite_file(url: str) -> Path:
    """The file of ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` (SQLAlchemy's URLs)."""
    return Path(unquote(urlsplit(url).path.removeprefix("/")))
