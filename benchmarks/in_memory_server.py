"""A server of the same contract that keeps its jobs in memory, in one process, and makes no music.

What a FastAPI application can do at most on this machine: the baseline of front_door.py.

    uvicorn benchmarks.in_memory_server:app --port 8002
"""

import time
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


class Song(BaseModel):
    """The fields that the benchmark sends."""

    caption: str = ""
    audio_duration: float = -1
    batch_size: int = 2


app = FastAPI()
_jobs: dict[str, dict[str, Any]] = {}


@app.get("/ready")
async def ready() -> dict[str, str]:
    """As soon as it answers."""
    return {"status": "ready"}


@app.post("/v1/music/generate")
async def generate(song: Song) -> dict[str, Any]:
    """Keep the job."""
    job_id = str(uuid4())
    _jobs[job_id] = {
        "job_id": job_id,
        "status": "queued",
        "created_at": time.time(),
        "caption": song.caption,
        "queue_position": len(_jobs) + 1,
        "result": None,
        "warnings": [],
    }
    return {"job_id": job_id, "status": "queued", "queue_position": len(_jobs)}


@app.get("/v1/jobs/{job_id}")
async def job(job_id: str) -> dict[str, Any]:
    """Look at a job."""
    if job_id not in _jobs:
        raise HTTPException(404)
    return _jobs[job_id]
