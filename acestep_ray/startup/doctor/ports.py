"""The ports: that of the service, and those that Ray may need."""

import os
from collections.abc import Iterator
from pathlib import Path

from acestep_ray.startup.doctor.access import HAPROXY
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.refusals import (
    not_free,
    other_on_ipv6,
    refuse_used_metrics_port,
    refuse_used_port,
)

RAY_WORKERS = range(10_002, 20_000)
"""Ports that Ray gives to its workers."""
HAPROXY_PORTS = {
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
}
"""Ports that Serve needs in addition with HAProxy, by the variables that change them."""
PROXIES = ("http_proxy", "all_proxy", "ALL_PROXY")
"""Variables by which curl asks a proxy for http://. It ignores HTTP_PROXY, which a web server's
client could set."""
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def check_ports(setup: Setup) -> Iterator[Result]:
    """See Check."""
    config = setup.checked
    host, port = config.host, config.port
    if setup.runs:
        yield from _running(setup)
        return
    refused = list(refusal(lambda: refuse_used_port(config)))
    if refused and setup.service is not None:
        yield problem(
            f"port {port} on {host} is used by another service of this kind (acestep-ray "
            f"{setup.service.version}, with other data); stop that one, or choose another port "
            "with ACESTEP_PORT."
        )
    else:
        yield from refused
    yield from refusal(lambda: refuse_used_metrics_port(config))
    if why := other_on_ipv6(host, port):
        yield warning(f"{why}.")
    yield from _taken_at_random(port, "ACESTEP_PORT")
    if config.settings.metrics_port is not None:
        yield from _taken_at_random(config.settings.metrics_port, "ACESTEP_METRICS_PORT")
    yield from _haproxy()
    yield from _proxy_variables()
    if not refused:
        yield ok(f"port {port} on {host} is free")


def _running(setup: Setup) -> Iterator[Result]:
    service = setup.service
    assert service is not None
    if not service.ready:
        yield warning(
            f"the service at {service.url} runs but is not ready: {' '.join(service.reasons)} If "
            "that stays so, read its log (acestep-ray serve --verbose)."
        )
    state = "ready" if service.ready else "not ready"
    yield ok(f"the service (acestep-ray {service.version}) runs at {service.url}, {state}")


def _taken_at_random(port: int, setting: str) -> Iterator[Result]:
    if port in RAY_WORKERS or port in _ephemeral():
        yield warning(
            f"port {port} is among those that Ray's workers or other programs get when they ask "
            f"for any port, and may be taken before a start: choose one below 10000 with {setting}."
        )


def _ephemeral() -> range:
    """Ports that Linux gives to programs that ask for any port."""
    try:
        first, last = map(int, EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return range(0)
    return range(first, last + 1)


def _haproxy() -> Iterator[Result]:
    if os.environ.get(HAPROXY) != "1":
        return
    for variable, usual in HAPROXY_PORTS.items():
        given = os.environ.get(variable, "")
        port = int(given) if given.isdecimal() else usual
        if error := not_free("0.0.0.0", port):
            yield problem(
                f"port {port}, which HAProxy needs ({HAPROXY}=1), cannot be used "
                f"({error.strerror}); stop what listens there, or set {variable}."
            )


def _proxy_variables() -> Iterator[Result]:
    proxy = next((name for name in PROXIES if os.environ.get(name)), None)
    spared = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    if proxy and not {"localhost", "127.0.0.1", "*"} & {word.strip() for word in spared}:
        yield warning(
            f"{proxy} is set, so that curl and other clients ask the proxy for the service on this "
            "machine: set no_proxy=localhost,127.0.0.1 for them."
        )
