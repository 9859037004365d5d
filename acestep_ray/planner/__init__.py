"""The planner: what the 5Hz language model writes. Metadata, audio codes, engines."""
