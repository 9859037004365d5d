"""Spans of what a request causes, in every process that works for it; exported by OTLP.

Off by default (``tracing.endpoint``). docs/observability.md lists the spans.
"""
