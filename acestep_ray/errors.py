"""What keeps the service from starting: each message is a sentence with the cause and the cure."""


class ConfigurationError(Exception):
    """The service cannot start as it is set up."""


class CheckpointError(ConfigurationError):
    """A checkpoint cannot be used; the message names the file."""


class SettingError(ConfigurationError, ValueError):
    """Settings turn out wrong where an engine starts; the message names the setting and numbers."""


class GpuMemoryError(ConfigurationError, ValueError):
    """What the settings ask for needs more GPU memory than there is; the message shows the sum."""
