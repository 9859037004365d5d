"""What every process of the service begins with: its log lines and its traces."""

from acestep_ray.logs import set_up_logs
from acestep_ray.settings import Settings
from acestep_ray.tracing.otlp import start_tracer
from acestep_ray.tracing.tracer import Tracer


def begin_process(settings: Settings, name: str) -> Tracer:
    """Set up the log of this process, and return its tracer. ``name``: that of its deployment."""
    set_up_logs(settings.logs, name)
    return start_tracer(settings.tracing, name)
