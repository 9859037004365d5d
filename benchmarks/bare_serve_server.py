"""A Serve application that does nothing: what the way through Serve costs, for front_door.py.

It responds to every poll and submit with a fixed text of the length that the service's have.
"""

from fastapi import FastAPI, Response
from ray import serve
from ray.serve.schema import LoggingConfig

JOB = b'{"job_id":"550e8400-e29b-41d4-a716-446655440000","text":"%s"}' % (b"x" * 380)

app = FastAPI()


@app.get("/ready")
@app.get("/v1/jobs/{job_id}")
@app.post("/v1/music/generate")
async def respond() -> Response:
    """The fixed text."""
    return Response(JOB, media_type="application/json")


# It logs as the service does: a line for each request would be a part of what is measured.
@serve.deployment(
    max_ongoing_requests=2000,
    logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
)
@serve.ingress(app)
class Bare:
    """One replica, as the service's Ingress has one."""


application = Bare.bind()  # type: ignore[attr-defined]  # serve.deployment adds it
