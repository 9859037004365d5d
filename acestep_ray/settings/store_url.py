"""URLs of job stores: which there are, what each means, and what is legal in it."""

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

StoreKind = Literal["sqlite", "redis"]

_KINDS: dict[str, StoreKind] = {
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
}
_LEGAL = re.compile(
    r"sqlite:///.+|rediss?://([^@/?#]*@)?[^@/?#]+(/\d*)?(\?[^#]*)?|unix:///[^?#]+(\?[^#]*)?"
)
_REDIS_OPTIONS = re.compile(r"volatile=allow|db=\d+|ssl_(ca_certs|certfile|keyfile)=.+")


def store_kind(url: str) -> StoreKind:
    """Which store the URL, which has been checked, is of."""
    return _KINDS[url.partition(":")[0]]


def on_one_node(url: str) -> bool:
    """Whether the store is a file, which one process of one node may have open."""
    return store_kind(url) == "sqlite"


def checked_store_url(secret: SecretStr) -> SecretStr:
    """Check the URL now, so that not a replica must fail on it later. Raises ValueError."""
    url = secret.get_secret_value()
    if not url:
        return secret
    if not _LEGAL.fullmatch(url):
        raise ValueError(
            "the job store is sqlite:///FILE, redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS) or "
            "unix:///SOCKET"
        )
    if store_kind(url) == "redis":
        _check_port(url)
        _check_redis_options(url)
    return secret


def _check_port(url: str) -> None:
    try:
        urlsplit(url).port  # noqa: B018  # raises if it is illegal, with the URL in the message
    except ValueError:
        raise ValueError("the job store's port must be a number from 0 to 65535") from None


def _check_redis_options(url: str) -> None:
    _, _, options = url.partition("?")
    for option in options.split("&") if options else ():
        if not _REDIS_OPTIONS.fullmatch(option):
            raise ValueError(
                f"the job store has no option {option.partition('=')[0]!r}; there are "
                "volatile=allow, db=NUMBER, ssl_ca_certs=FILE, ssl_certfile=FILE and "
                "ssl_keyfile=FILE"
            )


def only_password(password: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
    """Refuse a second password: it would be unclear which one is meant. Raises ValueError."""
    url = others.data.get("store", SecretStr("")).get_secret_value()
    if password is not None and re.match("rediss?://[^@/?#]*:[^@/?#]+@", url):
        raise ValueError("ACESTEP_STORE holds a password, too; give it in one place")
    return password
