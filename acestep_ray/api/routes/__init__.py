"""The routes, and what each returns."""

from acestep_ray.api.routes import (
    adapters,
    audio,
    deliveries,
    events,
    generate,
    jobs,
    service,
    studio,
)

ROUTERS = (
    generate.router,
    jobs.router,
    events.router,
    deliveries.router,
    audio.router,
    service.router,
    adapters.router,
    studio.router,
)
