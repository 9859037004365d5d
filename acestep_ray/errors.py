"""What keeps the service from starting: each message is a sentence with the cause and the cure."""


class ConfigurationError(Exception):
    """The service cannot start with this configuration."""


class CheckpointError(ConfigurationError):
    """A checkpoint cannot be used; the message names the file."""


class SettingError(ConfigurationError, ValueError):
    """Settings prove wrong when an engine starts; the message names the setting and numbers."""


class GpuMemoryError(ConfigurationError, ValueError):
    """The settings need more GPU memory than there is; the message shows the sum."""
