"""The routes, and what each returns."""

from acestep_ray.api.routes import audio, deliveries, generate, jobs, service

ROUTERS = (generate.router, jobs.router, deliveries.router, audio.router, service.router)
