"""What the URL of a job store means."""


def is_sqlite(url: str) -> bool:
    """Whether the store is a SQLite file, which only one process of one node can have open. Every
    other store is a Redis, which several nodes share."""
    return url.startswith("sqlite:")
