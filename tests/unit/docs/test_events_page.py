"""docs/events.md lists the events that programs rely on."""

import re
from pathlib import Path

from acestep_ray.jobs.events import EventKind

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()


def test_every_event_is_listed_and_no_other() -> None:
    part = PAGE.split("## Events")[1].split("## ")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", part, re.MULTILINE)) == {"state", *EventKind}
