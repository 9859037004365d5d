"""What the mock answers to."""

PUBLISHED = ("acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-1.7B", "acestep-5Hz-lm-4B")
"""The published checkpoints; the first is asked where a request names none."""
