"""Opens or checks the store that the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from acestep_ray.jobs.store.protocol import JobStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.jobs.store.sqlite.check import check_sqlite
from acestep_ray.jobs.store.state import StoreState
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


def check_store(settings: Settings) -> StoreState:
    """How the store at ``settings.store_url`` is. Changes nothing in it, and takes no lock: a
    service may run on it. Raises StoreUnavailable, StoreUnsuitable."""
    url = settings.store_url
    if store_kind(url) == "sqlite":
        return check_sqlite(sqlite_file(url))
    from acestep_ray.jobs.store.redis.check import check_redis  # noqa: PLC0415  (as above)

    password = settings.store_password
    return check_redis(url, password.get_secret_value() if password else None)


def sqlite_file(url: str) -> Path:
    """The file of ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` (SQLAlchemy's URLs)."""
    return Path(unquote(urlsplit(url).path.removeprefix("/")))
