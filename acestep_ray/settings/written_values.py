"""Values of settings as people write them: folders, lists with commas, origins of web pages."""

import re
from pathlib import Path


def absolute(path: Path) -> Path:
    """Made absolute when the settings are read: replicas may run in another working folder."""
    return path.expanduser().absolute()


def paths(value: object) -> object:
    """Folders from text such as ``a:b``, the shell's format for lists of folders."""
    return value.split(":") if isinstance(value, str) else value


def words(value: object) -> object:
    """A tuple from text with commas."""
    return split_words(value) if isinstance(value, str) else value


def split_words(text: str) -> tuple[str, ...]:
    """What stands between the commas of a text, without empty entries."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def origins(listed: tuple[str, ...]) -> tuple[str, ...]:
    """The origins themselves. Raises ValueError for one that is none."""
    for origin in listed:
        if not re.fullmatch(r"loopback|null|none|\*|https?://[^/?#@\s]+", origin):
            raise ValueError(
                "cors_origins holds origins such as https://music.example.org (without a path), "
                "loopback, null, * or none"
            )
    if "none" in listed and len(listed) > 1:
        raise ValueError("cors_origins is none, or it holds origins")
    return listed
