"""When the lines of a mock song are sung."""

from acestep_ray.decoder.lyric_alignment import SungLine, lrc_text
from acestep_ray.decoder.mock.lyrics import rows
from acestep_ray.decoder.mock.song import Song
from acestep_ray.timebase import SAMPLE_RATE


def sung_times(song: Song, lyrics: str, language: str, samples: int) -> str:
    """The lines that are sung for the first time within ``samples``, in the LRC format; a tag has
    the time of the line below it. Empty if nothing is sung."""
    starts = [song.start_of(bar.index) for bar in song.bars if bar.line]
    lines: list[SungLine] = []
    tags: list[str] = []
    at = 0
    for text, pieces in rows(lyrics, language):
        if not pieces:
            tags.append(text)
            continue
        if at >= len(starts) or starts[at] >= samples:
            break
        seconds = starts[at] / SAMPLE_RATE
        lines += [SungLine(seconds, one) for one in (*tags, text)]
        tags, at = [], at + pieces
    return lrc_text(lines)
