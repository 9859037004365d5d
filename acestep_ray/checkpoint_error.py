"""What is wrong with a checkpoint, for planner and decoder alike."""


class CheckpointError(Exception):
    """A checkpoint that cannot be used: one sentence that names the file and the cure."""
