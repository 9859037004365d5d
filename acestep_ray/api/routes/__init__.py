"""The routes, and what each returns."""

from acestep_ray.api.routes import audio, deliveries, events, generate, jobs, service, studio

ROUTERS = (
    generate.router,
    jobs.router,
    events.router,
    deliveries.router,
    audio.router,
    service.router,
    studio.router,
)
