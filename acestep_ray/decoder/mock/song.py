"""A song before it is played: made from a request, a seed and audio codes."""

from dataclasses import dataclass

from acestep_ray.decoder.mock.form import Bar, lay_out
from acestep_ray.decoder.mock.lyrics import parse
from acestep_ray.decoder.mock.rhythm import Hit, groove
from acestep_ray.decoder.mock.seeding import digest, generator
from acestep_ray.decoder.mock.style import Style, read_style
from acestep_ray.decoder.mock.theory import PROGRESSIONS
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.timebase import FRAMES_PER_CODE, SAMPLE_RATE, SAMPLES_PER_FRAME


@dataclass(frozen=True)
class Song:
    """Everything that arrange.py needs to decide what is played in a bar."""

    style: Style
    identity: int
    """The seed of all random choices in this song."""
    singer: int
    """The same for what is sung: other words have another melody."""
    bars: tuple[Bar, ...]
    groove: tuple[Hit, ...]
    progressions: dict[str, tuple[int, ...]]
    """Chords by section kind."""
    chord_bars: int
    """How many bars a chord lasts."""
    codes: tuple[int, ...]
    tilt: float
    """Brightness: spectra are multiplied by the harmonic's number to this power; 0 is neutral."""

    @property
    def beat_samples(self) -> float:
        """Length of a beat."""
        return 60 * SAMPLE_RATE / self.style.bpm

    def start_of(self, bar: int) -> int:
        """The sample at which a bar begins."""
        return round(bar * self.style.meter * self.beat_samples)

    def chord_of(self, bar: Bar) -> int:
        """Degree of the chord in a bar; the song ends on its tonic."""
        if bar.index == len(self.bars) - 1:
            return 0
        chords = self.progressions[bar.kind]
        return chords[bar.place // self.chord_bars % len(chords)]

    def codes_in(self, bar: Bar) -> tuple[int, ...]:
        """The audio codes at the time of a bar."""
        code = SAMPLES_PER_FRAME * FRAMES_PER_CODE
        return self.codes[
            self.start_of(bar.index) // code : -(-self.start_of(bar.index + 1) // code)
        ]

    def ends_at(self, samples: int) -> int:
        """The first bar that begins at or after ``samples``."""
        bar = int(samples / (self.style.meter * self.beat_samples))
        while self.start_of(bar) < samples:
            bar += 1
        return bar


def compose(
    request: DecodeRequest, seed: int, codes: tuple[int, ...], samples: int, tilt: float = 0.0
) -> Song:
    """The song for one take of ``samples`` samples at 48 kHz.

    Seed, caption and lyrics decide what the request leaves open; audio codes change the melody of
    the bars at their time.
    """
    style = read_style(
        request.caption, seed, request.bpm, request.key_scale, request.time_signature
    )
    identity = digest("song", seed, request.caption)
    rng = generator(identity, "form")
    loops = PROGRESSIONS[style.key.minor]
    verse, chorus, bridge = (loops[int(at)] for at in rng.permutation(len(loops))[:3])
    bar_seconds = style.meter * 60 / style.bpm
    bars = -(-samples * style.bpm // (style.meter * 60 * SAMPLE_RATE))
    return Song(
        style=style,
        identity=identity,
        singer=digest(identity, request.lyrics),
        bars=lay_out(parse(request.lyrics, request.vocal_language), max(1, bars), bar_seconds),
        groove=groove(style.feel, style.meter, style.bpm, generator(identity, "groove")),
        progressions={
            "intro": verse,
            "verse": verse,
            "chorus": chorus,
            "bridge": bridge,
            "solo": chorus,
            "outro": verse,
        },
        chord_bars=2 if bar_seconds < 1.1 else 1,
        codes=codes,
        tilt=tilt,
    )
