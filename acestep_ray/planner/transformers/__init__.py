"""The ``pt`` planner: the 5Hz language model on transformers."""
