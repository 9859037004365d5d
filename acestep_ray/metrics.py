"""Every metric of this service, and what code needs to record one.

A metric is declared here once: name, meaning, labels, buckets. Code that measures gets a ``Meter``
by its constructor and does not know where the values go: ``deployments/ray_meter.py`` hands them to
Ray, which puts ``ray_`` before the names. docs/observability.md lists the metrics for readers.

A label has few values. One that comes from a client, a stored job or another release goes through
``one_of``. Several clusters may share a store: counters and histograms hold only what this cluster
has done, and the gauges of the queue are the same in each.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

OTHER = "other"
"""Label value in place of one that is not known."""
NONE = "none"
"""Label value for nothing, such as the error code of a job that succeeded."""

MOMENTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets for HTTP responses and webhooks, seconds. The longest long poll takes less than 60."""
PHASES = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""Buckets for the stages of a job, seconds."""
WAITS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 3600.0, 14400.0)
"""Buckets for what people wait for, seconds: up to four hours."""
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Buckets for seconds of audio per second of a device."""


@dataclass(frozen=True)
class Metric:
    """What all kinds have. ``labels``: names of its labels; every record has all of them."""

    name: str
    description: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counter(Metric):
    """Only rises. Its name ends with ``_total``."""


@dataclass(frozen=True)
class Gauge(Metric):
    """A present value. It must be set again every few seconds: values that are not are dropped."""


@dataclass(frozen=True)
class Histogram(Metric):
    """Counts values by size. ``buckets``: their upper bounds, rising.

    Ray rebuilds the sum of a histogram from its buckets; where a sum matters, there is a counter.
    """

    buckets: tuple[float, ...] = ()


class Meter(Protocol):
    """Records values of metrics. Each call has a value for every label, and no other. Never raises,
    never waits; may be called from any thread."""

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        """Let a counter rise by ``value``. 0 only makes its series known: Prometheus sees a rise
        only in a series that it has seen before, so rare events are recorded as 0 at the start."""
        ...

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        ...

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        """Count one value in a histogram."""
        ...


class NoMeter:
    """Drops every value."""

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        """See Meter."""

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        """See Meter."""

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        """See Meter."""


NO_METER: Meter = NoMeter()


def one_of(value: str | None, known: Collection[str]) -> str:
    """A label's value: ``value`` if it is known; NONE if there is none, otherwise OTHER."""
    if not value:
        return NONE
    return str(value) if value in known else OTHER


# Jobs: recorded by the coordinator.

JOBS_SUBMITTED = Counter("acestep_jobs_submitted_total", "Accepted jobs.", ("task",))
JOBS_ENDED = Counter(
    "acestep_jobs_ended_total",
    "Jobs that ended. code: why a job failed, or none.",
    ("status", "task", "code"),
)
JOBS_REQUEUED = Counter(
    "acestep_jobs_requeued_total",
    "Jobs that went back to their place in the queue, by reason: worker_lost, or returned (its "
    "worker was stopping).",
    ("task", "reason"),
)
WORKERS_LOST = Counter(
    "acestep_workers_lost_total",
    "How often a job lost its worker. outcome: requeued, or failed (it was lost too often).",
    ("outcome",),
)
JOB_WAIT_SECONDS = Histogram(
    "acestep_job_wait_seconds",
    "From the submit to a start; counted again if the job has to start again.",
    ("task",),
    WAITS,
)
JOB_SECONDS = Histogram(
    "acestep_job_seconds", "From the submit to the end.", ("task", "status"), WAITS
)
JOBS = Gauge("acestep_jobs", "Stored jobs, by status; ended ones until they expire.", ("status",))
QUEUED_JOBS = Gauge(
    "acestep_queued_jobs", "Queued jobs. stage: what they wait for, plan or decode.", ("stage",)
)
QUEUE_OLDEST_SECONDS = Gauge(
    "acestep_queue_oldest_seconds", "Age of the oldest queued job; 0 if none is queued."
)
REPLICAS = Gauge("acestep_replicas", "Ready engine replicas. kind: planner or decoder.", ("kind",))
SLOTS = Gauge(
    "acestep_slots",
    "Jobs, or plans, that the engine replicas can have at a time, together.",
    ("kind",),
)
STORE_UP = Gauge("acestep_store_up", "1 if the job store responds, 0 if it does not.")

# Devices: recorded by planner and decoder replicas. kind: planner or decoder.

STAGE_SECONDS = Histogram(
    "acestep_stage_seconds", "Time of one job in one stage.", ("kind", "stage"), PHASES
)
STAGE_TIME = Counter(
    "acestep_stage_time_seconds_total", "Time of all jobs in a stage.", ("kind", "stage")
)
AUDIO_SECONDS = Counter(
    "acestep_audio_seconds_total", "Seconds of audio made, over all takes.", ("task",)
)
REALTIME_FACTOR = Histogram(
    "acestep_realtime_factor",
    "Seconds of audio that one second of the decoder's device made, over a job.",
    ("task",),
    FACTORS,
)
DEVICE_BUSY_SECONDS = Counter(
    "acestep_device_busy_seconds_total",
    "Time in which the engine of a replica worked. Its rate is the busy share, 0 to 1.",
    ("kind",),
)
DEVICE_MEMORY_USED_BYTES = Gauge(
    "acestep_device_memory_used_bytes",
    "Memory in use, by all processes, on the replica's GPU; without one, of the machine.",
    ("kind",),
)
DEVICE_MEMORY_TOTAL_BYTES = Gauge(
    "acestep_device_memory_total_bytes",
    "All memory of the replica's GPU; without one, of the machine.",
    ("kind",),
)
DEVICE_MEMORY_PEAK_BYTES = Gauge(
    "acestep_device_memory_peak_bytes",
    "Most GPU memory that the decoder's tensors held during its last job.",
    ("kind",),
)

# HTTP: recorded by the ingress. route: a route's template, such as /v1/jobs/{job_id}.

HTTP_REQUESTS = Counter(
    "acestep_http_requests_total",
    "HTTP requests. code: the status code.",
    ("route", "method", "code"),
)
HTTP_SECONDS = Histogram(
    "acestep_http_seconds",
    "Until the response began; of long polls, with the waiting.",
    ("route", "method"),
    MOMENTS,
)
UPLOADS_REFUSED = Counter(
    "acestep_uploads_refused_total",
    "Requests refused for the body or the audio that they sent. reason: the problem's code.",
    ("reason",),
)
EVENT_STREAMS = Gauge("acestep_event_streams", "Open event streams of this ingress replica.")

# Webhooks: recorded by the runner. kind: an EventKind.

WEBHOOK_TRIES = Counter(
    "acestep_webhook_tries_total",
    "Tries to deliver a message. outcome: delivered, retry (another try follows), failed (given "
    "up), dropped (progress that could not be delivered).",
    ("kind", "outcome"),
)
WEBHOOK_SECONDS = Histogram(
    "acestep_webhook_seconds", "Until the receiver responded, or the try failed.", (), MOMENTS
)
WEBHOOKS_PENDING = Gauge("acestep_webhooks_pending", "Stored messages that are not yet delivered.")

METRICS: tuple[Metric, ...] = tuple(one for one in globals().values() if isinstance(one, Metric))
"""All of them."""
