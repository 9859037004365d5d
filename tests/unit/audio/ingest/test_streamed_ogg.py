"""Oggs that begin or end anywhere, and joined Oggs: they are read to their end."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import ingest
from acestep_ray.audio.ingest.layout.ogg import pages
from acestep_ray.audio.ingest.layout.parts import Window
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Make
from tests.unit.audio.ingest.reading import LIMITS, read


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
async def test_an_ogg_stream_without_begin_or_end(subtype: str, make: Make, out: Path) -> None:
    """What a radio's listener receives: the headers, pages from the middle, and no last page."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (480_000, 2)).astype(np.float32)
    path = make("a.ogg", noise, 48_000, format="OGG", subtype=subtype)
    content = path.read_bytes()
    with path.open("rb") as file:
        found = list(pages(Window(file.fileno()), 0, len(content)))
    head = [page for page in found if page.position == 0]
    sound = [page for page in found if page.position != 0][2:-2]
    path.write_bytes(b"".join(content[page.start : page.end] for page in head + sound))
    read_from_it = await read(path, out)
    assert read_from_it.warning == ""
    expected = (sound[-1].position - sound[0].position) / 48_000
    assert expected < read_from_it.samples / read_from_it.sample_rate < 10


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
async def test_oggs_that_were_joined(subtype: str, make: Make, out: Path) -> None:
    path = make("a.ogg", format="OGG", subtype=subtype)
    length = sf.info(path).frames
    path.write_bytes(path.read_bytes() * 3)
    assert (await read(path, out)).samples == 3 * length


async def test_oggs_of_other_rates_that_were_joined(make: Make, tone: Samples, out: Path) -> None:
    path = make("a.ogg")
    other = make("b.ogg", tone, 48_000)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(AudioRejected, match="changes its sample rate or channels inside"):
        await ingest(path, out, LIMITS)
