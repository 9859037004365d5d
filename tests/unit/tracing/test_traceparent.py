"""Headers of clients: what continues a trace, and what does not."""

import pytest

from acestep_ray.tracing.tracer import read_traceparent, trace_headers, trace_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (GOOD, GOOD),
        (f"  {GOOD} ", GOOD),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", GOOD),  # flags of later versions
        (f"01-{TRACE}-{SPAN}-01-more", GOOD),  # a later version
        (f"01-{TRACE}-{SPAN}-01", GOOD),
    ],
)
def test_a_traceparent_is_read(header: str, read: str) -> None:
    assert read_traceparent(header) == read
    assert trace_id(read) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n00-{TRACE}-{SPAN}-01",
    ],
)
def test_anything_else_is_ignored(header: str) -> None:
    assert read_traceparent(header) == ""


def test_a_webhook_carries_the_trace_if_there_is_one() -> None:
    assert trace_headers(GOOD) == {"traceparent": GOOD}
    assert trace_headers("") == {}
