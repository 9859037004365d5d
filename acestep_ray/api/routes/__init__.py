"""The routes, and what each returns."""

from acestep_ray.api.routes import audio, generate, jobs, service

ROUTERS = (generate.router, jobs.router, audio.router, service.router)
