"""The ``vllm`` planner: many plans at once by continuous batching, on stock vLLM."""
