"""How many channels the audio of a client may have."""

MOST_CHANNELS = 8


def too_many(channels: int) -> str:
    """The sentence for a client whose audio has too many channels; otherwise empty."""
    if channels <= MOST_CHANNELS:
        return ""
    return f"The audio has {channels} channels; the most is {MOST_CHANNELS}."
