"""Settings that limit a request."""

from pydantic import Field

from acestep_ray.settings.group import Group


class Limits(Group):
    """Limits of a request. Above them: a 4xx that names the limit."""

    duration: float = Field(600.0, ge=10, le=600, description="Longest take, seconds.")
    batch_size: int = Field(8, ge=1, le=8, description="Most takes per job.")
    upload_bytes: int = Field(100_000_000, ge=1, description="Largest request body, bytes.")
    text_bytes: int = Field(
        1_000_000, ge=1, description="Largest body without files, and largest form field, bytes."
    )
    queue: int = Field(200, ge=1, description="Most jobs that may wait; above it: 429.")
    direct_calls: int = Field(
        2,
        ge=1,
        le=64,
        description="Texts of songs that the LM writes at a time for requests that wait for them, "
        "per ingress replica; each planner replica has room for them in addition to its plans.",
    )
    direct_wait: float = Field(
        30.0,
        gt=0,
        description="Longest time that such a request waits for the LM to begin, seconds; then "
        "429, or 503 if no planner is up.",
    )
    completion_wait: float = Field(
        600.0,
        gt=0,
        description="Longest time that a chat completion without streaming waits for its job, "
        "seconds; then 504.",
    )
