"""What an MP3 costs and how good it is, with LAME's settings: by libsndfile, as in the service, and
by ffmpeg, which also has LAME's faster and slower algorithms.

Encodes a song of the mock engine, and prints for each setting the processor time (the least of
three runs), the file's size, and how far the decoded sound is above its difference from the
original, by frequency band, in dB: more is better.

    python -m benchmarks.mp3
"""

import argparse
import resource
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf

from acestep_ray.decoder.mock import MockDecoder
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from acestep_ray.settings import Mock
from acestep_ray.timebase import SAMPLE_RATE, Samples

BANDS = ((0, 500), (500, 2000), (2000, 6000), (6000, 12_000), (12_000, 16_000), (16_000, 20_000))
"""Hz."""
WINDOW = 2048
BLOCK = 16_384
SNDFILE = (("VARIABLE", 0.0), ("VARIABLE", 0.2), ("CONSTANT", 0.0), ("CONSTANT", 0.2))
"""Mode and level; the first one is the service's."""
FFMPEG = tuple(
    f"{rate} -compression_level {algorithm}"
    for rate in ("-q:a 0", "-b:a 256k")
    for algorithm in (0, 2, 5, 7, 9)
)


def processor_seconds() -> float:
    """Of this process and of the children that have ended."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def by_band(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Energy of the left channel in each band."""
    whole = samples[: len(samples) // WINDOW * WINDOW, 0].reshape(-1, WINDOW)
    energy = (np.abs(np.fft.rfft(whole * np.hanning(WINDOW))) ** 2).sum(axis=0)
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    inside = [(frequency >= low) & (frequency < high) for low, high in BANDS]
    return np.array([energy[band].sum() for band in inside])


def row(name: str, song: Samples, file: Path, encode: Callable[[], object]) -> None:
    """Encode, and print what it cost and what it lost."""
    spent = []
    for _ in range(3):
        before = processor_seconds()
        encode()
        spent.append(processor_seconds() - before)
    decoded, _ = sf.read(file, dtype="float32", always_2d=True)
    assert len(decoded) == len(song)  # the header says how much padding there is
    above = 10 * np.log10(by_band(song) / by_band(decoded - song))
    seconds = len(song) / SAMPLE_RATE
    print(
        f"{name:<42} {seconds / min(spent):>5.0f} times real time, "
        f"{file.stat().st_size * 8 / seconds / 1000:>4.0f} kbit/s; dB "
        + " ".join(f"{one:>5.1f}" for one in above),
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40)
    options = parser.parse_args()
    asked = DecodeRequest(
        job_id="job", attempt=1, caption="loud rock with drums, guitars and a singer",
        lyrics="[verse]\nnight falls over the bay", seconds=options.seconds, seeds=(3,), steps=2,
        guidance_scale=7.0,
    )  # fmt: skip
    song = next(MockDecoder(Mock()).generate(asked, Sources(), lambda *_: None)).samples
    with tempfile.TemporaryDirectory() as folder:
        wav, mp3 = Path(folder) / "song.wav", Path(folder) / "song.mp3"
        sf.write(wav, song, SAMPLE_RATE, subtype="FLOAT")
        for mode, level in SNDFILE:

            def by_sndfile(mode: str = mode, level: float = level) -> None:
                with sf.SoundFile(
                    mp3, "w", SAMPLE_RATE, 2, "MPEG_LAYER_III", format="MP3",
                    compression_level=level, bitrate_mode=mode,
                ) as file:  # fmt: skip
                    for start in range(0, len(song), BLOCK):
                        file.write(song[start : start + BLOCK])

            row(f"libsndfile {mode} {level}", song, mp3, by_sndfile)
        for setting in FFMPEG:
            command = ["ffmpeg", "-v", "error", "-y", "-i", wav, "-c:a", "libmp3lame"]
            command += [*setting.split(), "-threads", "1", mp3]
            row(f"ffmpeg {setting}", song, mp3, partial(subprocess.run, command, check=True))


if __name__ == "__main__":
    main()
