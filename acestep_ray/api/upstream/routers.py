"""The routes of upstream's API."""

from acestep_ray.api.upstream import models, query_result, release_task, take_audio

UPSTREAM_ROUTERS = (release_task.router, query_result.router, take_audio.router, models.router)
