"""Whether a RedisStore could be opened, found out without changing anything in the database."""

from acestep_ray.jobs.store.redis import durability
from acestep_ray.jobs.store.redis.connection import TIMEOUT, Address, Connection
from acestep_ray.jobs.store.redis.script import META, refuse_unusable
from acestep_ray.jobs.store.state import StoreState


def check_redis(url: str, password: str | None = None, timeout: float = TIMEOUT) -> StoreState:
    """How the database is, and what may be lost in it. ``timeout``: longest wait for each reply,
    seconds. Raises what RedisStore raises."""
    address = Address(url, password)
    connection = Connection(address, timeout)
    try:
        with address.opening():
            # First connect to the node that has the keys, if Redis is a cluster.
            connection.execute("EXISTS", META)
            durable = durability.check(connection)
            refuse_unusable(connection)
            # There is no such field. A replica, or a user without the right to write, refuses this.
            connection.execute("HDEL", META, "")
    finally:
        connection.close()
    disk = (
        f"append-only file, appendfsync {durable.appendfsync}"
        if durable.appendfsync
        else ("what it holds may be lost (volatile=allow)")
    )
    return StoreState(f"{address.name} has version {durable.version}; {disk}.", durable.warnings)
