"""The routes of upstream's API."""

from acestep_ray.api.upstream import (
    chat_completions,
    lora,
    models,
    query_result,
    release_task,
    song_text,
    take_audio,
)

UPSTREAM_ROUTERS = (
    release_task.router,
    query_result.router,
    take_audio.router,
    models.router,
    lora.router,
    song_text.router,
    chat_completions.router,
)
