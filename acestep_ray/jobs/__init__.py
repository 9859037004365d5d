"""Jobs: their states, their store, and the workflow that runs a job from its plan to its takes."""
