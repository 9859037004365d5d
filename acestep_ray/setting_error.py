"""The one exception of settings that turn out wrong only where an engine starts."""


class SettingError(ValueError):
    """The message is one sentence that names the setting, the numbers and a cure."""
