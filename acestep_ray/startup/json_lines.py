"""Lines of Ray, Serve and other programs as JSON objects, like those of the service itself."""

import json
import re
import time

from acestep_ray.logs import rfc3339

SOURCE = re.compile(r"(?:\x1b\[\d+m)?\(([^()]{1,200})\)(?:\x1b\[0m)? ?")
"""What Ray puts before a line of another process: its name and id, and on another node its
address."""
LEVEL = re.compile(r"\b(DEBUG|INFO|SUCC|WARNING|ERROR|CRITICAL)\b")
LEVEL_WITHIN = 60
"""Characters of a line in which its level is looked for."""
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class JsonLines:
    """Converts the lines of one service, in order."""

    def __init__(self) -> None:
        self._levels: dict[str, str] = {}

    def convert(self, line: str) -> str:
        """One JSON object and a newline; empty for an empty line. A line of the service's own is
        returned without what Ray puts before it."""
        text = COLOURS.sub("", line).rstrip()
        match = SOURCE.match(text)
        source, text = (match[1], text[match.end() :]) if match else ("", text)
        if not text:
            return ""
        if is_own(text):
            return f"{text}\n"
        found = LEVEL.search(text[:LEVEL_WITHIN])
        # The lines of a traceback, for example, belong to the line before them.
        level = found[1].replace("SUCC", "INFO") if found else self._levels.get(source, "INFO")
        self._levels[source] = level
        return json_line(level, source or "acestep-ray", "ray", text)


def is_own(text: str) -> bool:
    """Whether a line, without what Ray puts before it, is JSON of the service's own."""
    if not text.startswith('{"time": '):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:  # a part of a line that was too long
        return False


def json_line(level: str, process: str, logger: str, message: str) -> str:
    """A line of this moment."""
    now = rfc3339(time.time())
    line = {"time": now, "level": level, "process": process, "logger": logger, "message": message}
    return json.dumps(line) + "\n"


def level_of(line: str) -> str:
    """The level of a line that ``convert`` returned."""
    level: str = json.loads(line)["level"]
    return level
