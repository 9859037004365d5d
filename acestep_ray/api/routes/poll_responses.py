"""Responses to polls. A job that has not changed since the last one is not rendered again."""

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import ref

from cachetools import LRUCache
from fastapi import Response

from acestep_ray.api.routes.job_view import Links, job_view, poll_headers
from acestep_ray.jobs.snapshot import Snapshot

MOST_BYTES = 16 * 2**20
"""Of all rendered jobs that are kept."""
OTHER_BYTES = 1000
"""Of a rendered job besides its body, about."""


@dataclass(frozen=True)
class _Rendered:
    of: ref[Snapshot]
    """Not the snapshot itself, which would stay in memory with all that a client sent."""
    body: bytes
    headers: Mapping[str, str]


class PollResponses:
    """Renders jobs for GET /v1/jobs/{job_id}. One per app."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._rendered: LRUCache[str, _Rendered] = LRUCache(
            MOST_BYTES, getsizeof=lambda rendered: len(rendered.body) + OTHER_BYTES
        )

    def of(self, snapshot: Snapshot) -> Response:
        """The job as JSON. A snapshot is immutable, so the same object has the same response."""
        job_id = snapshot.record.job_id
        rendered = self._rendered.get(job_id)
        if rendered is None or rendered.of() is not snapshot:
            view = job_view(snapshot, self._links)
            body = view.model_dump_json().encode()
            rendered = _Rendered(ref(snapshot), body, poll_headers(view))
            if len(body) + OTHER_BYTES <= MOST_BYTES:
                self._rendered[job_id] = rendered
        return Response(rendered.body, headers=rendered.headers, media_type="application/json")
