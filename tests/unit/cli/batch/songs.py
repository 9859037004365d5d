"""Files with songs for batches."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Song = Mapping[str, Any]
SHORT: Song = {"audio_duration": 1, "batch_size": 1, "audio_format": "wav"}


def write_songs(folder: Path, songs: Iterable[Song]) -> Path:
    """Write a line per song; what is not given is short."""
    file = folder / "songs.jsonl"
    file.write_text("\n".join(json.dumps({**SHORT, **song}) for song in songs))
    return file


def report_of(folder: Path) -> dict[str, Any]:
    """The report in an output folder."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report
