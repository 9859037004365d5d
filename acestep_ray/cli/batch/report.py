"""What came of a batch: report.json, and what a person reads at the end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acestep_ray.cli.batch.lines import Line
from acestep_ray.cli.batch.state import BatchState, Song, SongStatus
from acestep_ray.cli.output import one_line
from acestep_ray.cli.time_left import duration

if TYPE_CHECKING:
    from rich.table import Table

FILE = "report.json"
MOST_ROWS = 20
"""Failed songs that the table shows; all are in the file."""
BAD = (SongStatus.FAILED, SongStatus.UNFINISHED)


@dataclass(frozen=True)
class Report:
    """The songs of a batch after a run. ``seconds``: how long the run took; ``made_now``: how many
    songs it made."""

    songs: Sequence[tuple[Line, Song]]
    made_now: int
    seconds: float

    @property
    def made(self) -> int:
        """Songs whose takes are in the folder."""
        return sum(song.status is SongStatus.MADE for _, song in self.songs)

    @property
    def failed(self) -> list[tuple[Line, Song]]:
        """Songs that failed."""
        return [(line, song) for line, song in self.songs if song.status in BAD]

    @property
    def left(self) -> int:
        """Songs that are still to be made."""
        return len(self.songs) - self.made - len(self.failed)

    @property
    def songs_per_hour(self) -> float:
        """Of this run."""
        return 3600 * self.made_now / self.seconds if self.seconds > 0 else 0.0

    def document(self) -> dict[str, Any]:
        """The report for programs (docs/cli.md)."""
        return {
            "songs": len(self.songs),
            "made": self.made,
            "failed": len(self.failed),
            "left": self.left,
            "made_in_this_run": self.made_now,
            "seconds": round(self.seconds, 1),
            "songs_per_hour": round(self.songs_per_hour, 1),
            "results": [_result(line, song) for line, song in self.songs],
        }

    def write(self, folder: Path) -> Path:
        """Write the file; it is whole or as before."""
        file = folder / FILE
        new = file.with_name(f".{FILE}.new")
        new.write_text(json.dumps(self.document(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        return new.replace(file)

    def summary(self) -> str:
        """In one sentence."""
        parts = [f"{self.made:,} of {len(self.songs):,} songs are made"]
        if self.failed:
            parts.append(f"{len(self.failed):,} failed")
        if self.left:
            parts.append(f"{self.left:,} are left")
        if self.made_now:
            rate = f"{self.songs_per_hour:,.0f} songs per hour"
            parts.append(f"{self.made_now:,} now in {duration(self.seconds)} ({rate})")
        return ", ".join(parts) + "."

    def table(self) -> "Table":
        """The songs that failed, and why."""
        from rich.table import Table
        from rich.text import Text

        table = Table("LINE", "SONG", "WHY", box=None, pad_edge=False)
        for line, song in self.failed[:MOST_ROWS]:
            why = one_line(f"{song.error} ({song.code})")
            table.add_row(str(line.number), Text(song.name), Text(why))
        return table


def report_of(lines: Sequence[Line], state: BatchState, made_now: int, seconds: float) -> Report:
    """The report on these songs as the state has them now."""
    return Report([(line, state.of(line)) for line in lines], made_now, seconds)


def _result(line: Line, song: Song) -> dict[str, Any]:
    return {
        "line": line.number,
        "name": song.name,
        "status": str(song.status),
        "job_id": song.job_id,
        "files": list(song.files),
        "seeds": song.seeds,
        "error": song.error,
        "code": song.code,
        "warnings": list(song.warnings),
    }
