"""A job as the client knows it: what ``Job`` and ``AsyncJob`` have in common."""

from acestep_ray.client.models import JobState, Progress, Result


class JobView:
    """The last known state of a job. Nothing here sends a request."""

    def __init__(self, state: JobState) -> None:
        self._state = state

    @property
    def state(self) -> JobState:
        """All that is known."""
        return self._state

    def update(self, state: JobState) -> None:
        """Take over a newer state."""
        self._state = state

    @property
    def id(self) -> str:
        """Its id."""
        return self._state.job_id

    @property
    def status(self) -> str:
        """queued, running, succeeded or failed."""
        return self._state.status

    @property
    def ended(self) -> bool:
        """Whether it has succeeded or failed."""
        return self._state.ended

    @property
    def queue_position(self) -> int:
        """1 is next; 0 is running or ended."""
        return self._state.queue_position

    @property
    def eta_seconds(self) -> float | None:
        """Estimated wait that is left in seconds, while it is queued; None if not known."""
        return self._state.eta_seconds

    @property
    def progress(self) -> Progress | None:
        """How far it is, while it runs."""
        return self._state.progress

    @property
    def warnings(self) -> list[str]:
        """Values that were not used, and what came up while it ran."""
        return list(self._state.warnings)

    @property
    def error(self) -> str | None:
        """Why it failed: one sentence."""
        return self._state.error

    @property
    def error_code(self) -> str | None:
        """Why it failed: a stable name."""
        return self._state.error_code

    @property
    def result(self) -> Result | None:
        """What it made; None until it has succeeded, and in a list of jobs without ``full``."""
        return self._state.result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"
