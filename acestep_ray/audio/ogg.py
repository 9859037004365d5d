"""Make an Ogg file's bytes depend on nothing but its audio and tags."""

# mypy: allow-untyped-calls

from pathlib import Path

from mutagen.ogg import OggPage


def set_serial(path: Path, serial: int) -> None:
    """Give every page of a one-stream Ogg file the stream ``serial`` (0..2**32-1), in place.

    libsndfile chooses the serial at random, so each encoding of the same samples would be a
    different file. Checksums are recomputed; nothing moves. Raises mutagen.ogg.error, OSError.
    """
    with path.open("r+b") as file:
        while True:
            start = file.tell()
            try:
                page = OggPage(file)
            except EOFError:
                return
            end = file.tell()
            page.serial = serial
            file.seek(start)
            file.write(page.write())
            file.seek(end)
