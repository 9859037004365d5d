"""Names of the mock's models."""

PUBLISHED = ("acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-1.7B", "acestep-5Hz-lm-4B")
"""The published checkpoints; the first is used if a request names none."""
