"""What is wrong with a checkpoint, said to whoever deploys it."""


class CheckpointError(Exception):
    """One sentence that names the file and the cure."""
