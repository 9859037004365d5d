"""The routes, and what each answers."""

from acestep_ray.api.routes import audio, generate, jobs, service

ROUTERS = (generate.router, jobs.router, audio.router, service.router)
