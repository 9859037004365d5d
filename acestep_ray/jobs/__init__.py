"""Jobs: their states, their store, and the workflow that takes one from plan to takes."""
