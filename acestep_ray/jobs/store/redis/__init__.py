"""The job store in Redis: any number of actors and clusters may share one database."""

from acestep_ray.jobs.store.redis.store import RedisStore

__all__ = ["RedisStore"]
